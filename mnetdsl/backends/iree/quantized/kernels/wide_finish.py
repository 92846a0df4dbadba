"""Sums to stored bytes by any factor, 1/2 and more or tiny: each lane in 64 bits, as `integers.Wide` writes them.

A few layers need it, whose result's grid is finer than their sums'; `finish` has half of its instructions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from iree.compiler.dialects import arith
from numpy.typing import NDArray

from mnetdsl.backends.iree.integers import WIDE
from mnetdsl.backends.iree.kernels.executables import Buffer
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position
from mnetdsl.backends.iree.quantized.kernels.bytes import splat, vector_of
from mnetdsl.backends.iree.quantized.kernels.finish import Finish

Array = NDArray[Any]
_ROWS = 5
"""Of the table of a vector of channels: multipliers, offsets, what results below 0 lose, shifts right and left."""
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class WideFinish(Finish):
    """zero_point: as an unsigned byte. raised: whether some factor is 1 or more, for which sums are shifted left first
    and wrap around."""

    zero_point: int
    raised: bool

    def buffer(self, channels: int) -> Buffer:
        return Buffer(_ROWS * channels, "i64")

    def load(self, table: Memory, channel: Position, lanes: int) -> list[MlirValue]:
        whole = table.from_(channel * _ROWS)
        return [whole.vector(row * lanes, lanes) for row in range(_ROWS)]

    def numbers(self, sums: MlirValue, loaded: list[MlirValue]) -> MlirValue:
        steps = self.steps(sums, loaded)
        if self.zero_point:
            steps = arith.minsi(steps, splat(_LARGEST - self.zero_point, steps.type))
            steps = arith.addi(steps, splat(self.zero_point, steps.type))
        return steps

    def steps(self, sums: MlirValue, loaded: list[MlirValue]) -> MlirValue:
        """i32 sums times their factors, without zero point."""
        multiplier, offset, down, right, left = loaded
        if self.raised:
            sums = arith.shli(sums, arith.trunci(sums.type, left))
        wide = arith.extsi(vector_of(sums.type.shape[0], 64), sums)
        total = arith.addi(arith.muli(wide, multiplier), offset)
        if self.down:
            # The sign spread over all bits selects `down` without a branch.
            total = arith.subi(total, arith.andi(arith.shrsi(wide, splat(63, wide.type)), down))
        return arith.trunci(sums.type, arith.shrsi(total, right))


def wide_finish(
    factors: tuple[Array, Array], bounds: tuple[int, int], zero_point: int, order: Array, lanes: int
) -> tuple[WideFinish, Array]:
    """For `factors` (multipliers and shifts); the table is [channels / lanes, rows, lanes], the channels in `order`.
    Bounds and zero point are unsigned bytes."""
    multipliers, shifts = (np.asarray(array, np.int64) for array in factors)
    rows = [*WIDE.operands(multipliers, shifts)[:4], np.maximum(shifts, 0)]
    padded = [np.pad(row, (0, len(order) - len(row)))[order].astype(np.int64) for row in rows]
    table = np.stack([row.reshape(-1, lanes) for row in padded], axis=1)
    finish = WideFinish(*bounds, bounds[0] < zero_point, zero_point, raised=bool((shifts > 0).any()))
    return finish, table
