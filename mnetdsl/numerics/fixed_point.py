"""exp and reciprocals in 32-bit fixed point, after gemmlowp's fixedpoint.h.

A number has some integer bits and the rest of 31 as fraction; products are `rounding_doubling_high_multiply`.
"""

from __future__ import annotations

import numpy as np

from mnetdsl.numerics.requantization import Integers, rounding_divide_by_power_of_two
from mnetdsl.numerics.requantization import rounding_doubling_high_multiply as product

ONE = 2**31 - 1
"""The largest number without integer bits."""
INPUT_BITS = 5
"""Integer bits of what `exp_of_negative` takes: down to -32."""

_FRACTION = 31 - INPUT_BITS
_EXP_OF_EIGHTH = 1895147668
"""exp(-1/8)"""
_THIRD = 715827883
_POWERS = {
    -2: 1672461947,
    -1: 1302514674,
    0: 790015084,
    1: 290630308,
    2: 39332535,
    3: 720401,
    4: 242,
}
"""exp(-2^k) without integer bits."""
_48_17, _32_17 = 1515870810, 1010580540
"""48/17 and 32/17 with two integer bits: the start of Newton's method for a reciprocal."""


def exp_of_negative(x: Integers) -> Integers:
    """exp(x), without integer bits, for x <= 0 with 5 integer bits."""
    quarter = 1 << (_FRACTION - 2)
    rest = (x & (quarter - 1)) - quarter
    result = _exp_of_quarter(_raised(rest, INPUT_BITS))
    steps = rest - x
    for power, factor in _POWERS.items():
        result = np.where(steps & (1 << (_FRACTION + power)), product(result, factor), result)
    whole: Integers = np.where(x == 0, ONE, result)
    return whole


def _exp_of_quarter(x: Integers) -> Integers:
    """exp(x) for -1/4 <= x < 0, no integer bits: Taylor's series around -1/8, degree 4."""
    x = x + (1 << 28)
    square = product(x, x)
    cube, fourth = product(square, x), product(square, square)
    quarter = rounding_divide_by_power_of_two(fourth, 2)
    tail = rounding_divide_by_power_of_two(product(quarter + cube, _THIRD) + square, 1)
    result: Integers = product(x + tail, _EXP_OF_EIGHTH) + _EXP_OF_EIGHTH
    return result


def _raised(x: Integers, bits: int) -> Integers:
    """The same number with `bits` fewer integer bits, saturated."""
    result: Integers = np.clip(x << bits, -ONE - 1, ONE)
    return result


def reciprocal(x: Integers, integer_bits: int) -> tuple[Integers, Integers]:
    """1 / x for x >= 1 with `integer_bits`: y without integer bits, and the bits of which x is over its first.

    1 / x = y / 2^bits with 1/2 < y <= 1 (`GetReciprocal` of softmax.h).
    """
    headroom = 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)
    return _one_over_one_plus((x << headroom) - (1 << 31)), integer_bits - headroom


def _one_over_one_plus(x: Integers) -> Integers:
    """1 / (1 + x) for 0 <= x < 1, no integer bits, by three steps of Newton's method."""
    half_denominator = (x + ONE + 1) // 2
    guess = _48_17 + product(half_denominator, -_32_17)
    for _ in range(3):
        error = (1 << 29) - product(half_denominator, guess)
        guess = guess + _raised(product(guess, error), 2)
    return _raised(guess, 1)
