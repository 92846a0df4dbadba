"""Requantization in float32: what is called proven has the bits of the fixed-point form for every sum."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mnetdsl.backends.iree.quantized.kernels.proof import MOST_CORRECTED, Proven, Steps, evaluate, prove
from mnetdsl.backends.iree.quantized.kernels.sums import find_form
from mnetdsl.numerics import elementwise
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.requantization import multiply_by_quantized_multiplier, quantize_multipliers


def steps_of(factors: list[float], zero_point: int, low: int, high: int, reach: int, centered: bool) -> Steps:
    multipliers, shifts = quantize_multipliers(factors)
    ends = np.full(len(factors), reach, np.int64)
    return Steps(multipliers, shifts, zero_point, low, high, -ends, ends, centered)


def results(steps: Steps, proven: Proven, sums: np.ndarray) -> np.ndarray:
    """As the kernel computes them: sums [n, O]."""
    found = evaluate(steps, sums, proven.factor, proven.offset).astype(np.int64)
    for corrected, correction in zip(proven.sums, proven.corrections, strict=True):
        found += np.where(sums == corrected, correction, 0)
    return np.clip(found, steps.low, steps.high)


def expected(steps: Steps, sums: np.ndarray) -> np.ndarray:
    found = multiply_by_quantized_multiplier(sums, steps.multipliers, steps.shifts) + steps.zero_point
    return np.clip(found, steps.low, steps.high)


@settings(max_examples=60, deadline=None)
@given(
    exponents=st.lists(st.floats(-14.0, 0.5), min_size=1, max_size=6),
    zero_point=st.integers(-128, 127),
    activation=st.sampled_from(["none", "relu"]),
    centered=st.booleans(),
    reach=st.integers(1, 70_000),
)
def test_every_sum_has_its_bits(
    exponents: list[float], zero_point: int, activation: str, centered: bool, reach: int
) -> None:
    low = zero_point if activation == "relu" else -128
    steps = steps_of([2.0**each for each in exponents], zero_point, low, 127, reach, centered and low >= zero_point)
    proven = prove(steps)
    if proven is not None:
        sums = np.repeat(np.arange(-reach, reach + 1)[:, None], len(exponents), axis=1)
        np.testing.assert_array_equal(results(steps, proven, sums), expected(steps, sums))


def test_most_channels_are_proven() -> None:
    factors = np.exp2(np.random.default_rng(0).uniform(-10, -4, 256))
    for low, centered in ((-128, True), (-128, False)):
        zero_point = -128 if centered else -3
        proven = prove(steps_of(list(factors), zero_point, low, 127, 400_000, centered))
        assert proven is not None
        assert len(proven.sums) <= MOST_CORRECTED


def test_constant_channels_and_factors_of_zero_are_proven() -> None:
    multipliers, shifts = quantize_multipliers([3.3e-7, 0.0])
    constant = np.array([-154_995_744, 5])
    steps = Steps(multipliers, shifts, -128, -128, 127, constant, constant, False)
    proven = prove(steps)
    assert proven is not None
    np.testing.assert_array_equal(results(steps, proven, constant[None]), expected(steps, constant[None]))


def test_sums_of_all_pairs_are_those_of_the_reference() -> None:
    left, right, result = Grid("int8", 0.0235, 3), Grid("int8", 0.0412, -9), Grid("int8", 0.0501, -1)
    numbers = np.arange(-128, 128, dtype=np.int8)
    wanted = elementwise.add(numbers[:, None], numbers[None, :], (left, right), result, "none").astype(np.int64)
    scales = left.scale / result.scale, right.scale / result.scale
    offset = -1 - (3 + 128) * scales[0] - (-9 + 128) * scales[1]
    form = find_form(wanted, scales, offset, (-128, 127))
    assert form is not None
    np.testing.assert_array_equal(form.table(), wanted)
    assert find_form(wanted + (np.arange(256)[:, None] == 7), scales, offset, (-128, 127)) is None
