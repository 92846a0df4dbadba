"""Batch normalization with fixed statistics."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Float, Operand
from mnetdsl.ir.types import TensorType


class BatchNorm(Op):
    """(input - mean) / sqrt(variance + epsilon) * scale + offset (Ioffe and Szegedy 2015, algorithm 2).

    input [N, …, C], scale, offset, mean, variance [C]  ->  [N, …, C]
    """

    opcode = "batch_norm"
    input = Operand()
    scale = Operand(rank=1)
    offset = Operand(rank=1)
    mean = Operand(rank=1)
    variance = Operand(rank=1)
    epsilon = Float(default=1e-3)

    def infer(self) -> TensorType:
        channels = self.input.type.shape[-1]
        for name in ("scale", "offset", "mean", "variance"):
            (statistic,) = self.operand_group(name)
            if statistic.type.shape != (channels,):
                raise ShapeError(f"`batch_norm` needs a {name} of {channels}, got {statistic.type}", name)
        return self.input.type
