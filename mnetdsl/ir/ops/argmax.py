"""The index of the largest number."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Operand
from mnetdsl.ir.types import ElementType, TensorType


class Argmax(Op):
    """Index of the largest number of the last axis, the first of equal ones; a row with NaN gives any index.

    input [N, …, C]  ->  [N, …] i32
    """

    opcode = "argmax"
    input = Operand()

    def infer(self) -> TensorType:
        if self.input.type.rank < 2:
            raise ShapeError("`argmax` needs a tensor with an axis beside the batch", "input")
        return TensorType(self.input.type.shape[:-1], ElementType.I32)
