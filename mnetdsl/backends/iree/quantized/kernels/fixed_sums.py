"""The sum or difference of two maps of bytes in fixed point, where no float32 form of `sums` has the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from iree.compiler.dialects import arith
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, least, loop
from mnetdsl.backends.iree.quantized.kernels.bytes import splat, widened
from mnetdsl.backends.iree.quantized.kernels.wide_finish import WideFinish, wide_finish
from mnetdsl.numerics.scales import SumFactors

Array = NDArray[Any]


@dataclass(frozen=True)
class FixedForm:
    """(left - zero) * 2^headroom times a factor of each operand, added up or, where `minus`, subtracted, and what
    `finishes` make of it: those of the operands, whose `steps` count, and that of the result."""

    zeros: tuple[int, int]
    headroom: int
    minus: bool
    finishes: tuple[WideFinish, WideFinish, WideFinish]


def fixed_form(
    factors: SumFactors,
    zeros: tuple[int, int],
    result: tuple[tuple[int, int], int],
    lanes: int,
    *,
    minus: bool,
) -> tuple[FixedForm, Array]:
    """And its table. Zeros, and the result's bounds and zero point, are unsigned bytes."""
    bounds, zero_point = result
    order = np.arange(lanes)
    made = [
        wide_finish((np.full(lanes, factor[0]), np.full(lanes, factor[1])), ends, zero, order, lanes)
        for factor, ends, zero in (
            (factors.left, (0, 255), 128),
            (factors.right, (0, 255), 128),
            (factors.result, bounds, zero_point),
        )
    ]
    left, right, total = (finish for finish, _ in made)
    form = FixedForm(zeros, factors.headroom, minus, (left, right, total))
    return form, np.concatenate([table for _, table in made])


@dataclass(frozen=True)
class ByteFixedSum:
    """left, right [size], table of `fixed_form`, output [size]; size is a multiple of the lanes."""

    size: int
    lanes: int
    form: FixedForm
    workgroups: int = 4

    @property
    def name(self) -> str:
        return f"bytes_fixed_{'difference' if self.form.minus else 'sum'}_{self.size}"

    @property
    def grid(self) -> Grid:
        return share(self.size // self.lanes, self.workgroups), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        table = self.form.finishes[0].buffer(len(self.form.finishes) * self.lanes)
        return (Buffer(self.size, "i8"), Buffer(self.size, "i8"), table)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, "i8"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        *operands, table, target = memories
        form = self.form
        size = -(-(self.size // self.lanes) // self.grid[0]) * self.lanes
        start = group[0] * size
        loaded = [finish.load(table, place * self.lanes, self.lanes) for place, finish in enumerate(form.finishes)]
        with loop(start, least(start + size, self.size), self.lanes) as at:
            terms: list[MlirValue] = []
            for place, (operand, zero) in enumerate(zip(operands, form.zeros, strict=True)):
                numbers = widened(operand.vector(at, self.lanes))
                moved = arith.subi(numbers, splat(zero, numbers.type))
                raised = arith.shli(moved, splat(form.headroom, moved.type))
                terms.append(form.finishes[place].steps(raised, loaded[place]))
            total = (arith.subi if form.minus else arith.addi)(*terms)
            target.store(form.finishes[2].bytes(total, loaded[2]), at)
