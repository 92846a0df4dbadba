"""Layer normalization."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Float, Operand
from mnetdsl.ir.types import TensorType


class LayerNorm(Op):
    """(input - mean) / sqrt(variance + epsilon) * scale + offset, each over the last axis (Ba et al. 2016).

    The variance is the biased one, the mean of (input - mean)^2.

    input [N, …, C], scale, offset [C]  ->  [N, …, C]
    """

    opcode = "layer_norm"
    input = Operand()
    scale = Operand(rank=1)
    offset = Operand(rank=1)
    epsilon = Float(default=1e-5)

    def infer(self) -> TensorType:
        channels = self.input.type.shape[-1]
        for name in ("scale", "offset"):
            (parameter,) = self.operand_group(name)
            if parameter.type.shape != (channels,):
                raise ShapeError(f"`layer_norm` needs a {name} of {channels}, got {parameter.type}", name)
        return self.input.type
