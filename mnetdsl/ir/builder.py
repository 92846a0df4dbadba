"""Appends operations to a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from mnetdsl.ir.core import Graph, Op, OperandArgument, Port, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.location import UNKNOWN, Location
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType, Shape, TensorType

AnyOp = TypeVar("AnyOp", bound=Op)


class Builder:
    """Appends to the end of `graph`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def input(self, name: str, type: TensorType, location: Location = UNKNOWN) -> Port:
        port = Port(name, Value(type), location=location)
        self.graph.inputs.append(port)
        return port

    def output(self, name: str, value: Value, location: Location = UNKNOWN) -> Port:
        port = Port(name, value, location=location)
        self.graph.outputs.append(port)
        return port

    def add(
        self,
        kind: type[AnyOp],
        location: Location = UNKNOWN,
        /,
        operands: Mapping[str, OperandArgument] | None = None,
        **attributes: AttributeValue,
    ) -> AnyOp:
        """Appends an operation; raises `ShapeError` where the operand types do not fit."""
        op = kind(operands or {}, attributes, location)
        self.graph.operations.append(op)
        return op

    def constant(
        self,
        resource: str,
        shape: Shape,
        element: ElementType = ElementType.F32,
        location: Location = UNKNOWN,
    ) -> Value:
        return self.add(Constant, location, resource=resource, shape=shape, element=element.value).result
