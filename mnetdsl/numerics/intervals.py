"""Between which stored numbers the results of quantized operations lie, for inputs that lie between given ones.

Every operation here never falls where a sum, or an operand, rises, so the ends of an interval suffice. What a shift to
the left may wrap around has no order: it gives all of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics import elementwise
from mnetdsl.numerics.bounds import ACCUMULATOR
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.mean import mean, mean_factor
from mnetdsl.numerics.requantization import Integers, multiply_by_quantized_multiplier
from mnetdsl.numerics.scales import product_factor, sum_factors


@dataclass(frozen=True)
class Interval:
    """low <= q <= high for the stored number q of each channel; both [C]."""

    low: Integers
    high: Integers

    @property
    def constant(self) -> NDArray[np.bool_]:
        """[C]: whether the channel holds one number whatever the input."""
        result: NDArray[np.bool_] = self.low == self.high
        return result

    def joined(self, low: int, high: int) -> Interval:
        """With two numbers more, low <= high, that every channel may hold."""
        return Interval(np.minimum(self.low, low), np.maximum(self.high, high))


def everything(grid: Grid, channels: int) -> Interval:
    """All numbers of a grid."""
    return Interval(np.full(channels, grid.low, np.int64), np.full(channels, grid.high, np.int64))


@dataclass(frozen=True)
class Taps:
    """The sums that each tap of a window adds, lowest and highest: [KH, KW, O]."""

    low: Integers
    high: Integers

    def windows(self, masks: Sequence[tuple[Sequence[bool], Sequence[bool]]]) -> Interval:
        """Sums over the taps that lie inside the map, over all windows; a mask says which rows and columns do."""
        sums = [
            [ends[np.ix_(np.flatnonzero(rows), np.flatnonzero(columns))].sum(axis=(0, 1)) for rows, columns in masks]
            for ends in (self.low, self.high)
        ]
        return Interval(np.min(sums[0], axis=0), np.max(sums[1], axis=0))


def products(filter: NDArray[Any], source: Interval, zero_point: int, *, depthwise: bool) -> Taps:
    """Of a `filter` [KH, KW, I, O], its zero point subtracted, or [KH, KW, C, M] of a depthwise layer."""
    weights = filter.astype(np.float64)
    # Integers below 2^53 are exact, and matrices of float64 multiply faster than those of integers.
    low, high = (ends.astype(np.float64) - zero_point for ends in (source.low, source.high))
    positive, negative = np.maximum(weights, 0), np.minimum(weights, 0)
    if depthwise:
        shape = (*weights.shape[:2], -1)
        least = (positive * low[:, None] + negative * high[:, None]).reshape(shape)
        most = (positive * high[:, None] + negative * low[:, None]).reshape(shape)
    else:
        least = low @ positive + high @ negative
        most = high @ positive + low @ negative
    return Taps(np.rint(least).astype(np.int64), np.rint(most).astype(np.int64))


def requantized(
    sums: Interval, multipliers: Integers, shifts: Integers, result: Grid, bounds: tuple[int, int]
) -> Interval:
    """Of sums with their bias, by `multiply_by_quantized_multiplier`, zero point and clamp; 8 bits."""
    low, high = (
        np.clip(multiply_by_quantized_multiplier(ends, multipliers, shifts) + result.zero_point, *bounds)
        for ends in (sums.low, sums.high)
    )
    reach = np.maximum(np.abs(sums.low), np.abs(sums.high)) << np.maximum(shifts, 0)
    ordered = reach < ACCUMULATOR
    return Interval(np.where(ordered, low, bounds[0]), np.where(ordered, high, bounds[1]))


def total(
    opcode: str, operands: tuple[Interval, Interval], grids: tuple[Grid, Grid], result: Grid, act: str
) -> Interval:
    """`add` or `sub` of 8-bit numbers; `act` is a clamp."""
    (left, right), channels = operands, max(len(item.low) for item in operands)
    if sum_factors(*grids, result).result[1] > 0:
        return _clamped(result, act, channels)
    subtracted = opcode == "sub"
    function = elementwise.sub if subtracted else elementwise.add
    pairs = (left.low, right.high if subtracted else right.low), (left.high, right.low if subtracted else right.high)
    low, high = (
        function(a.astype(grids[0].dtype), b.astype(grids[1].dtype), grids, result, act).astype(np.int64)
        for a, b in pairs
    )
    return Interval(low, high)


def product(operands: tuple[Interval, Interval], grids: tuple[Grid, Grid], result: Grid, act: str) -> Interval:
    """`mul` of 8-bit numbers: its extremes are at the corners of the intervals."""
    (left, right), channels = operands, max(len(item.low) for item in operands)
    if product_factor(*grids, result)[1] > 0:
        return _clamped(result, act, channels)
    corners = [
        elementwise.mul(a.astype(grids[0].dtype), b.astype(grids[1].dtype), grids, result, act).astype(np.int64)
        for a in (left.low, left.high)
        for b in (right.low, right.high)
    ]
    return Interval(np.min(corners, axis=0), np.max(corners, axis=0))


def averaged(source: Interval, count: int, before: Grid, after: Grid) -> Interval:
    """The mean of `count` numbers of a channel."""
    if mean_factor(count, before, after)[1] > 0:
        return everything(after, len(source.low))
    low, high = (mean(ends * count, count, before, after).astype(np.int64) for ends in (source.low, source.high))
    return Interval(low, high)


def looked_up(source: Interval, table: NDArray[Any], dtype: str) -> Interval:
    """Entries of `table` [256] or [C, 256], by the bits of numbers of an 8-bit `dtype`."""
    order = np.argsort(np.arange(256, dtype=np.uint8).view(dtype), kind="stable")
    least = -128 if dtype == "int8" else 0
    rows = table.reshape(-1, 256)[:, order].astype(np.int64)
    found = [
        rows[min(channel, len(rows) - 1), low - least : high - least + 1]
        for channel, (low, high) in enumerate(zip(source.low, source.high, strict=True))
    ]
    return Interval(np.array([part.min() for part in found]), np.array([part.max() for part in found]))


def _clamped(result: Grid, act: str, channels: int) -> Interval:
    low, high = activation_range(result, act)
    return Interval(np.full(channels, low, np.int64), np.full(channels, high, np.int64))
