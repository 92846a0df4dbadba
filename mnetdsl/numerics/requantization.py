"""Products of integers and real factors, in integers: what every quantized layer ends with.

The arithmetic is that of TensorFlow Lite's reference kernels with two roundings (`MultiplyByQuantizedMultiplier` of
tensorflow/lite/kernels/internal/common.h without TFLITE_SINGLE_ROUNDING; Jacob et al. 2018, section 2.2): a factor is
multiplier * 2^(shift - 31) with 2^30 <= multiplier < 2^31.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

ONE_BITS = 31
"""Fraction bits of a multiplier."""
ONE = 1 << ONE_BITS
SMALLEST_SHIFT = -31
"""A factor below that is 0: every product would round to 0 or to its sign."""
_HALF = 1 << (ONE_BITS - 1)


def quantize_multipliers(factors: Sequence[float] | NDArray[np.float64]) -> tuple[Integers, Integers]:
    """Each of `factors` [n], finite and at least 0, as multiplier [n] and shift [n]; 0 is 0 and 0.

    As `QuantizeMultiplier` of quantization_util.cc: the fraction of `frexp` rounded half up to 31 bits.
    """
    fractions, exponents = np.frexp(np.asarray(factors, np.float64))
    multipliers, shifts = np.floor(fractions * ONE + 0.5).astype(np.int64), exponents.astype(np.int64)
    overflow = multipliers == ONE
    multipliers[overflow] //= 2
    shifts[overflow] += 1
    small = shifts < SMALLEST_SHIFT
    multipliers[small] = shifts[small] = 0
    return multipliers, shifts


def quantize_multiplier(factor: float) -> tuple[int, int]:
    """(multiplier, shift) of one factor."""
    multipliers, shifts = quantize_multipliers([factor])
    return int(multipliers[0]), int(shifts[0])


def rounding_doubling_high_multiply(x: NDArray[Any], multiplier: Integers | int) -> Integers:
    """x * multiplier / 2^31 to the nearest integer, a half upwards; x is of 32 bits, multiplier from 0 to 2^31 - 1.

    That is gemmlowp's `SaturatingRoundingDoublingHighMul`: what it saturates, -2^31 times itself, cannot occur.
    """
    product: Integers = np.multiply(x, multiplier, dtype=np.int64)
    product += _HALF
    product >>= ONE_BITS
    return product


def rounding_divide_by_power_of_two(x: Integers, exponent: Integers | int) -> Integers:
    """x / 2^exponent to the nearest integer, a half away from zero; exponent is at least 0."""
    half = (np.int64(1) << np.asarray(exponent, np.int64)) >> 1
    # A half of a negative number goes down: one less is added. There are no halves where the exponent is 0.
    rounded = x + half
    rounded -= (x < 0) & (half > 0)
    rounded >>= exponent
    return rounded


def multiply_by_quantized_multiplier(x: NDArray[Any], multiplier: Integers | int, shift: Integers | int) -> Integers:
    """x * multiplier * 2^(shift - 31), rounded twice; x holds 32-bit numbers, and the result does.

    `multiplier` and `shift` are broadcast: one, or one for each channel. A shift above 0 is applied to x first, and
    wraps around as 32-bit integers do.
    """
    shifts = np.asarray(shift, np.int64)
    left, right = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    if left.any():
        x = (x.astype(np.int64) << left).astype(np.int32)
    high = rounding_doubling_high_multiply(x, multiplier)
    return rounding_divide_by_power_of_two(high, right) if right.any() else high


def multiply_wide(x: NDArray[np.int64], multiplier: Integers | int, shift: Integers | int) -> Integers:
    """x * multiplier * 2^(shift - 31) for sums of 16-bit inputs, -2^47 <= x < 2^47: rounded once, half upwards.

    The multiplier is first rounded to 16 bits, as the reference does in its overload for 64-bit sums.
    """
    wide = np.asarray(multiplier, np.int64)
    reduced = np.where(wide < 0x7FFF0000, (wide + (1 << 15)) >> 16, 0x7FFF)
    total = 15 - np.asarray(shift, np.int64)
    product = x.astype(np.int64) * reduced
    product += np.int64(1) << (total - 1)
    product >>= total
    return product.astype(np.int32).astype(np.int64)
