"""The declared preprocessing of an image input."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Floats, Operand
from mnetdsl.ir.types import ElementType, TensorType


class Normalize(Op):
    """(input - mean) / std per channel, computed in float32 as written.

    input [N, …, C] of any element type; mean, std of length 1 or C  ->  [N, …, C] f32
    """

    opcode = "normalize"
    input = Operand()
    mean = Floats()
    std = Floats()

    def infer(self) -> TensorType:
        channels = self.input.type.shape[-1]
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels):
                raise ShapeError(f"`{name}` has {len(values)} values for an input of {channels} channels", name)
        if any(value == 0.0 for value in self.std):
            raise ShapeError("`std` must not be 0", "std")
        return TensorType(self.input.type.shape, ElementType.F32)
