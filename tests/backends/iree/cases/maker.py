"""Builds the cases of all operations into one module: iree-compile takes seconds, whatever it compiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mnetdsl.ir.core import OperandArgument, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.types import ElementType, TensorType
from tests.graphs import GraphMaker


class CaseMaker(GraphMaker):
    """Names inputs and weights by number, so that cases need not."""

    def fresh(self, *shape: int, element: ElementType = ElementType.F32) -> Value:
        """Another input of `shape`, batch left out."""
        name = f"in{len(self.module.graph.inputs)}"
        return self.builder.input(name, TensorType((1, *shape), element)).value

    def weights(self, *shape: int) -> Value:
        return self.random_constant(f"w{len(self.module.resources)}", *shape)

    def op(self, opcode: str, operands: Mapping[str, OperandArgument], **attributes: AttributeValue) -> Value:
        name = f"{opcode}_{len(self.module.graph.operations)}"
        place = Location(name, "cases.mnet", len(self.module.graph.operations) + 1, 3)
        return self.builder.add(OPERATIONS[opcode], place, operands, **attributes).result


Case = Callable[[CaseMaker], Value]
