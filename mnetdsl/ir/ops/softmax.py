"""Softmax."""

from __future__ import annotations

from mnetdsl.ir.core import Op
from mnetdsl.ir.declare import Operand
from mnetdsl.ir.types import TensorType


class Softmax(Op):
    """exp(x - max) / sum(exp(x - max)) over the last axis.  input [N, …, C]  ->  [N, …, C]"""

    opcode = "softmax"
    input = Operand()

    def infer(self) -> TensorType:
        return self.input.type
