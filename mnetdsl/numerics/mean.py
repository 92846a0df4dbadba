"""Means of stored numbers: of windows, and of a whole map.

TensorFlow Lite: reference/integer_ops/pooling.h, and `QuantizedMeanOrSum` of reference/reduce.h.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.requantization import (
    SMALLEST_SHIFT,
    Integers,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)
from mnetdsl.numerics.rounding import divide_half_away, saturate

_MOST_SHIFT = 32


def window_mean(total: Integers, count: NDArray[np.int64] | int, grid: Grid) -> NDArray[Any]:
    """Sums of stored numbers over `count` of them, rounded half away from zero: the grid stays."""
    return saturate(divide_half_away(total, count), grid.low, grid.high, grid.dtype)


def mean_factor(count: int, source: Grid, result: Grid) -> tuple[int, int]:
    """Multiplier and shift of a mean of `count` numbers: source scale / result scale, with 1 / count folded in.

    The multiplier is shifted left by the bits of `count` before the division, which is rounded down.
    """
    multiplier, shift = quantize_multiplier(source.scale / result.scale)
    raised = min(count.bit_length() - 1, _MOST_SHIFT, shift - SMALLEST_SHIFT)
    return (multiplier << raised) // count, shift - raised


def mean(total: Integers, count: int, source: Grid, result: Grid) -> NDArray[Any]:
    """`total`: sums of `count` stored numbers. Gives the mean on the grid of the result."""
    factor = mean_factor(count, source, result)
    steps = multiply_by_quantized_multiplier(total - count * source.zero_point, *factor)
    return saturate(steps + result.zero_point, result.low, result.high, result.dtype)
