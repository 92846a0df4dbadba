"""The written text against the file it came from: sema's graph must be the imported one, operation for operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnetdsl.importers.tflite.graph import ImportGraph, Layer
from mnetdsl.ir.core import Module, Op
from mnetdsl.ir.core import Value as IrValue
from mnetdsl.ir.ops.constant import Constant

COMMUTATIVE = ("add", "mul")
GEOMETRY = {"strides": "stride", "padding": "padding", "dilations": "dilation", "kernel": "kernel"}
"""Attributes of operations -> arguments of layers."""


class NotTheSameError(Exception):
    """The text does not say what the file says: a defect of the importer."""


@dataclass(frozen=True)
class Names:
    """`layers` are names by the number of the value that a layer computes, `constants` resources by that number."""

    layers: Mapping[int, str]
    constants: Mapping[int, tuple[str, ...]]


def match(graph: ImportGraph, order: Sequence[Layer], module: Module) -> Names:
    """Names that the text gave to the layers, which it makes in this `order`; `module` is as sema built it.

    Raises `NotTheSameError` where an operation, an operand, a size or an attribute differs.
    """
    values: dict[IrValue, int] = {}
    inputs = {port.name: port for port in graph.inputs}
    for port in module.graph.inputs:
        values[port.value] = inputs[port.name].value
    operations = [op for op in module.graph.operations if not isinstance(op, Constant)]
    place = 0
    layers: dict[int, str] = {}
    constants: dict[int, tuple[str, ...]] = {}

    def next_op(layer: Layer, opcode: str) -> Op:
        nonlocal place
        if place >= len(operations):
            raise NotTheSameError(f"`{opcode}` of operator {layer.operator} is missing in the text")
        op = operations[place]
        place += 1
        if op.opcode != opcode:
            raise NotTheSameError(f"`{op.name}` is {op.opcode}, operator {layer.operator} is {opcode}")
        return op

    while place < len(operations) and operations[place].opcode == "normalize":
        op = operations[place]
        values[op.result] = values[op.operands[0]]
        place += 1
    for layer in order:
        op = next_op(layer, layer.operation)
        _check_operands(op, layer, values)
        _check_geometry(op, layer, graph)
        layers[layer.output] = op.name
        constants[layer.output] = tuple(
            value.producer.resource for value in op.operands if isinstance(value.producer, Constant)
        )
        last = op
        if layer.activation != "none":
            last = next_op(layer, layer.activation)
            if last.operands != (op.result,):
                raise NotTheSameError(f"`{last.name}` does not read `{op.name}`")
        if last.type.shape != graph.values[layer.output].shape:
            raise NotTheSameError(f"`{last.name}` is {last.type}, the file has {graph.values[layer.output].shape}")
        values[last.result] = layer.output
    if place < len(operations):
        raise NotTheSameError(f"`{operations[place].name}` is not in the file")
    found = [(port.name, values.get(port.value)) for port in module.graph.outputs]
    if sorted(found) != sorted((output.name, output.value) for output in graph.outputs):
        raise NotTheSameError(f"the outputs are {found}")
    return Names(layers, constants)


def _check_operands(op: Op, layer: Layer, values: Mapping[IrValue, int]) -> None:
    read = [values[value] for value in op.operands if value in values]
    wanted = list(layer.inputs)
    if layer.operation in COMMUTATIVE:
        read, wanted = sorted(read), sorted(wanted)
    if read != wanted:
        raise NotTheSameError(f"`{op.name}` reads {read}, operator {layer.operator} reads {wanted}")
    filter = op.operand_group("filter") if layer.weighted else ()
    if layer.filter is not None and filter[0].type.shape != layer.filter.array.shape:
        raise NotTheSameError(f"`{op.name}` has a filter {filter[0].type}, the file has {layer.filter.array.shape}")
    if layer.weighted and (op.operand_group("bias") == ()) != (layer.bias is None):
        raise NotTheSameError(f"`{op.name}` has a bias where the file has none, or none where it has one")


def _check_geometry(op: Op, layer: Layer, graph: ImportGraph) -> None:
    one_window = layer.operation == "avg_pool" and graph.values[layer.output].shape[1:3] == (1, 1)
    for attribute, argument in GEOMETRY.items():
        if attribute not in op.attributes or (one_window and attribute == "strides"):
            continue
        if op.attributes[attribute] != layer.arguments[argument]:
            raise NotTheSameError(
                f"`{op.name}` has {attribute} {op.attributes[attribute]}, "
                f"operator {layer.operator} has {layer.arguments[argument]}"
            )
    for name in ("axis", "low", "high", "value", "begin", "size", "method"):
        if name in op.attributes and name in layer.arguments and not _equal(op, layer, name):
            raise NotTheSameError(f"`{op.name}` has {name} {op.attributes[name]}")


def _equal(op: Op, layer: Layer, name: str) -> bool:
    found, wanted = op.attributes[name], layer.arguments[name]
    if name == "axis" and isinstance(wanted, int):
        return found == wanted + op.type.rank
    if name in ("begin", "size") and isinstance(wanted, tuple) and isinstance(found, tuple):
        return found[-len(wanted) :] == wanted
    return found == wanted
