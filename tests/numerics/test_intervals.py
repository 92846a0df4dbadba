"""Intervals hold every result of the operation that they are about, and nothing that the ends do not reach."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.numerics import elementwise, intervals
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.intervals import Interval
from mnetdsl.numerics.mean import mean
from mnetdsl.numerics.requantization import multiply_by_quantized_multiplier, quantize_multipliers

LEFT, RIGHT, RESULT = Grid("int8", 0.05, -3), Grid("int8", 0.021, 17), Grid("int8", 0.06, -20)


def spans(random: np.random.Generator, count: int) -> Interval:
    ends = np.sort(random.integers(-128, 128, (2, count)), axis=0)
    return Interval(ends[0], ends[1])


def numbers(span: Interval, channel: int) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    return np.arange(span.low[channel], span.high[channel] + 1).astype(np.int8)


@pytest.mark.parametrize("opcode", ["add", "sub", "mul"])
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
def test_sums_and_products_are_tight(opcode: str, activation: str) -> None:
    random = np.random.default_rng(1)
    left, right = spans(random, 40), spans(random, 40)
    grids = (LEFT, RIGHT)
    if opcode == "mul":
        found = intervals.product((left, right), grids, RESULT, activation)
    else:
        found = intervals.total(opcode, (left, right), grids, RESULT, activation)
    function = {"add": elementwise.add, "sub": elementwise.sub, "mul": elementwise.mul}[opcode]
    for channel in range(40):
        all_of_it = function(
            numbers(left, channel)[:, None], numbers(right, channel)[None, :], grids, RESULT, activation
        )
        assert (found.low[channel], found.high[channel]) == (all_of_it.min(), all_of_it.max())


def test_windows_count_taps_inside_the_map_alone() -> None:
    filter = np.array([3, -2, 5], np.int64).reshape(1, 3, 1, 1)
    taps = intervals.products(filter, Interval(np.array([10]), np.array([12])), 4, depthwise=False)
    inside = ((True,), (True, True, True))
    assert taps.windows([inside]) == Interval(np.array([6 * 3 - 8 * 2 + 6 * 5]), np.array([8 * 3 - 6 * 2 + 8 * 5]))
    border = ((True,), (False, True, True))
    both = taps.windows([inside, border])
    assert (int(both.low[0]), int(both.high[0])) == (6 * 5 - 8 * 2, 8 * 3 - 6 * 2 + 8 * 5)


def test_depthwise_and_full_filters_agree_on_one_channel() -> None:
    random = np.random.default_rng(2)
    filter, span = random.integers(-127, 128, (3, 3, 1, 1)), spans(random, 1)
    masks = [((True, False, True), (True, True, False))]
    one = intervals.products(filter, span, -5, depthwise=True).windows(masks)
    other = intervals.products(filter, span, -5, depthwise=False).windows(masks)
    assert (one.low, one.high) == (other.low, other.high)


def test_requantization_keeps_order_and_gives_up_where_shifts_wrap() -> None:
    random = np.random.default_rng(3)
    factors = 2.0 ** random.uniform(-20, 12, 60)
    multipliers, shifts = quantize_multipliers(factors)
    ends = np.sort(random.integers(-(2**24), 2**24, (2, 60)), axis=0)
    bounds = activation_range(RESULT, "none")
    found = intervals.requantized(Interval(ends[0], ends[1]), multipliers, shifts, RESULT, bounds)
    sums = random.integers(ends[0], ends[1] + 1, (500, 60))
    results = np.clip(multiply_by_quantized_multiplier(sums, multipliers, shifts) + RESULT.zero_point, *bounds)
    assert (results >= found.low).all()
    assert (results <= found.high).all()
    wraps = np.abs(ends).max(axis=0) << np.maximum(shifts, 0) >= 2**31
    assert wraps.any()
    assert (found.low[wraps] == bounds[0]).all()
    assert (found.high[wraps] == bounds[1]).all()


def test_means_lie_between_the_means_of_the_ends() -> None:
    random = np.random.default_rng(4)
    span = spans(random, 30)
    found = intervals.averaged(span, 9, LEFT, RESULT)
    pixels = random.integers(span.low, span.high + 1, (200, 9, 30))
    results = mean(pixels.sum(axis=1), 9, LEFT, RESULT)
    assert (results >= found.low).all()
    assert (results <= found.high).all()


def test_tables_give_their_extremes_within_the_interval() -> None:
    random = np.random.default_rng(5)
    table = random.integers(-128, 128, 256).astype(np.int8)
    span = spans(random, 30)
    found = intervals.looked_up(span, table, "int8")
    for channel in range(30):
        entries = table[numbers(span, channel).view(np.uint8)]
        assert (found.low[channel], found.high[channel]) == (entries.min(), entries.max())


def test_a_table_for_each_channel_is_read_by_its_channel() -> None:
    table = np.stack([np.arange(256), np.full(256, 9)]).astype(np.uint8)
    found = intervals.looked_up(Interval(np.array([3, 3]), np.array([7, 7])), table, "uint8")
    assert found.low.tolist() == [3, 9]
    assert found.high.tolist() == [7, 9]
