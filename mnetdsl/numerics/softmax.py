"""softmax of 8-bit numbers, in 32-bit fixed point.

TensorFlow Lite: `Softmax` of reference/softmax.h with `PreprocessSoftmaxScaling`, beta = 1. (Its optimized kernels use
float32 tables, and differ in rare last bits.) The reference aborts where the exponentials add up to 512 and more; the
result, all zeros but for rounding, is defined here as elsewhere.
"""

from __future__ import annotations

from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.conversions import requantize
from mnetdsl.numerics.fixed_point import INPUT_BITS, exp_of_negative, reciprocal
from mnetdsl.numerics.grid import LIMITS, Grid
from mnetdsl.numerics.requantization import (
    ONE_BITS,
    Integers,
    quantize_multiplier,
    rounding_divide_by_power_of_two,
    rounding_doubling_high_multiply,
)
from mnetdsl.numerics.rounding import saturate

ENTRIES = 256
SUM_BITS = 12
"""Integer bits of the sum of exponentials: of up to 4096 channels."""


def softmax_table(source: Grid) -> NDArray[np.int32]:
    """[256]: exp(-d * scale) in units of 2^-31 for the difference d = max - q; 0 where it is below exp(-31)."""
    factor = min(source.scale * (1 << (ONE_BITS - INPUT_BITS)), 2.0**ONE_BITS - 1.0)
    multiplier, shift = quantize_multiplier(factor)
    radius = floor(((1 << INPUT_BITS) - 1) * 2.0 ** (ONE_BITS - INPUT_BITS - shift))
    below = np.minimum(np.arange(ENTRIES, dtype=np.int64), radius)
    exponents = rounding_doubling_high_multiply(-(below << shift), multiplier)
    table: NDArray[np.int32] = np.where(below == np.arange(ENTRIES), exp_of_negative(exponents), 0).astype(np.int32)
    return table


def softmax_result(dtype: str) -> Grid:
    """The grid on which softmax is computed: 0 to 255/256."""
    return Grid(dtype, 1.0 / 256.0, LIMITS[dtype][0])


def softmax(q: NDArray[Any], source: Grid, result: Grid) -> NDArray[Any]:
    """Over the last axis; a result of another grid than `softmax_result` is requantized."""
    computed = softmax_result(result.dtype)
    powers = softmax_table(source)[q.max(axis=-1, keepdims=True).astype(np.int32) - q].astype(np.int64)
    total: Integers = rounding_divide_by_power_of_two(powers, SUM_BITS).sum(axis=-1, keepdims=True)
    scale, bits = reciprocal(total, SUM_BITS)
    exponents = bits + ONE_BITS - 8
    steps = rounding_divide_by_power_of_two(rounding_doubling_high_multiply(powers, scale), exponents)
    found = saturate(steps + computed.low, computed.low, computed.high, computed.dtype)
    return found if result == computed else requantize(found, computed, result)
