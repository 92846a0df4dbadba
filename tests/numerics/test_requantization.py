"""Factors as integers, and their products, against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnetdsl.numerics.requantization import (
    multiply_by_quantized_multiplier,
    multiply_wide,
    quantize_multiplier,
    rounding_divide_by_power_of_two,
    rounding_doubling_high_multiply,
)

INT32 = st.integers(-(2**31), 2**31 - 1)
FACTORS = st.floats(2.0**-31, 2.0**20, allow_subnormal=False)


def half_away(exact: Fraction) -> int:
    return floor(exact + Fraction(1, 2)) if exact >= 0 else -floor(-exact + Fraction(1, 2))


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (0.0, (0, 0)),
        (1.0, (1 << 30, 1)),
        (0.5, (1 << 30, 0)),
        (2.0, (1 << 30, 2)),
        (1.0 - 2.0**-40, (1 << 30, 1)),  # the fraction rounds up to 1
        (2.0**-32, (1 << 30, -31)),
        (2.0**-32 - 2.0**-85, (1 << 30, -31)),
        (2.0**-33, (0, 0)),  # shifts below -31 are flushed
    ],
)
def test_edges_of_factors(factor: float, expected: tuple[int, int]) -> None:
    assert quantize_multiplier(factor) == expected


@given(FACTORS)
def test_a_factor_is_31_bits_of_itself(factor: float) -> None:
    multiplier, shift = quantize_multiplier(factor)
    assert 2**30 <= multiplier < 2**31
    exact = Fraction(factor)
    assert abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) - exact) <= exact / 2**31


@given(INT32, st.integers(0, 2**31 - 1))
def test_the_high_product_rounds_to_nearest_with_halves_upwards(x: int, multiplier: int) -> None:
    expected = floor(Fraction(x * multiplier, 2**31) + Fraction(1, 2))
    assert rounding_doubling_high_multiply(np.array([x], np.int32), multiplier).tolist() == [expected]


@given(INT32, st.integers(0, 31))
def test_the_shift_rounds_to_nearest_with_halves_away_from_zero(x: int, exponent: int) -> None:
    expected = half_away(Fraction(x, 2**exponent))
    assert rounding_divide_by_power_of_two(np.array([x], np.int64), exponent).tolist() == [expected]


def test_factors_are_broadcast_over_channels() -> None:
    x = np.array([[100, -100, 3], [7, -7, -3]], np.int32)
    pairs = [quantize_multiplier(factor) for factor in (0.25, 0.5, 3.0)]
    multipliers, shifts = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    assert multiply_by_quantized_multiplier(x, multipliers, shifts).tolist() == [
        [25, -50, 9],
        [2, -3, -9],
    ]  # -3.5 went up to -3 in the first rounding


def test_a_left_shift_wraps_like_32_bit_integers() -> None:
    multiplier, shift = quantize_multiplier(4.0)
    assert multiply_by_quantized_multiplier(np.array([2**30], np.int32), multiplier, shift).tolist() == [0]


@given(st.integers(-(2**40), 2**40), st.floats(2.0**-24, 2.0**-12))
def test_wide_sums_are_rounded_once_with_a_multiplier_of_16_bits(x: int, factor: float) -> None:
    multiplier, shift = quantize_multiplier(factor)
    reduced = min((multiplier + 2**15) >> 16, 32767)
    expected = floor(Fraction(x * reduced) / 2 ** (15 - shift) + Fraction(1, 2))
    assert multiply_wide(np.array([x], np.int64), multiplier, shift).tolist() == [expected]
