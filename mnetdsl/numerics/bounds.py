"""Bounds of a layer's sums, from its weights: what 32-bit accumulators, float32 and float64 can hold exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.requantization import Integers

EXACT_SINGLE = 2**24
"""Integers up to here, and their sums, are exact in float32."""
EXACT_DOUBLE = 2**53
ACCUMULATOR = 2**31
WIDE_ACCUMULATOR = 2**47
"""Of 16-bit inputs: what `multiply_wide` takes."""


@dataclass(frozen=True)
class SumBounds:
    """Of each output channel [O]: between which numbers its sum of products lies, bias left out."""

    low: Integers
    high: Integers
    magnitude: Integers
    """No sum of some of the products, in any order, is farther from 0."""

    @property
    def largest(self) -> int:
        return int(self.magnitude.max(initial=0))

    def proven(self, bias: Integers | None, limit: int = ACCUMULATOR) -> NDArray[np.bool_]:
        """[O]: whether |sum| + |bias| < `limit` for every input."""
        offset = np.zeros_like(self.magnitude) if bias is None else np.abs(bias.astype(np.int64))
        result: NDArray[np.bool_] = self.magnitude + offset < limit
        return result


def sum_bounds(filter: NDArray[Any], lowest: int, highest: int) -> SumBounds:
    """Bounds for `filter` [taps, O], zero point subtracted, and inputs of `lowest` to `highest`, likewise.

    lowest <= 0 <= highest: padding, which multiplies 0, is within.
    """
    taps = filter.reshape(-1, filter.shape[-1])
    total = _column_sums(taps)
    absolute = _column_sums(np.abs(taps))
    positive, negative = (absolute + total) // 2, (absolute - total) // 2
    low, high = positive * lowest - negative * highest, positive * highest - negative * lowest
    return SumBounds(low, high, np.maximum(-low, high))


def _column_sums(taps: NDArray[Any]) -> Integers:
    """Of integers below 2^9 in magnitude. A product of matrices sums columns several times as fast as a reduction."""
    rows = taps.astype(np.float64) if taps.shape[0] >= EXACT_SINGLE >> 9 else taps.astype(np.float32)
    sums: Integers = np.rint(np.ones((1, rows.shape[0]), rows.dtype) @ rows)[0].astype(np.int64)
    return sums


def layer_bounds(filter: NDArray[Any], zero_point: int, source: Grid) -> SumBounds:
    """Bounds for the stored `filter` [..., O] of a layer whose inputs use all of the grid `source`."""
    return sum_bounds(filter.astype(np.int16) - zero_point, source.lowest, source.highest)
