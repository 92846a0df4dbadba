"""The staircase of a requantization, and cheaper arithmetic that takes the same steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnetdsl.backends.c.quantized.dsp.finish import find_exact, find_finish, find_steps
from mnetdsl.backends.c.quantized.dsp.steps import SCALE, Channel, common_shift, find_slope
from mnetdsl.backends.c.quantized.levels import as_words
from mnetdsl.numerics.requantization import multiply_by_quantized_multiplier

Array = NDArray[Any]


def reference(channel: Channel, sums: Array) -> Array:
    scaled: Array = multiply_by_quantized_multiplier(sums, channel.multiplier, channel.shift) + channel.zero_point
    return np.minimum(np.maximum(scaled, -128), 127)


def random_channel(rng: np.random.Generator, zero_point: int, shift: int) -> Channel:
    middle = int(rng.integers(-1000, 1000))
    reach = int(rng.integers(1, 1 << min(8 - shift, 21)))
    return Channel(int(rng.integers(1 << 30, 1 << 31)), shift, zero_point, middle - reach, middle + reach)


def some_sums(channel: Channel, rng: np.random.Generator) -> Array:
    """Both ends, all around each step, and random ones between."""
    around = (channel.steps()[:, None] + np.arange(-3, 4)).reshape(-1)
    free = rng.integers(channel.low_sum, channel.high_sum + 1, 2000)
    sums: Array = np.concatenate([around, free])
    return sums.clip(channel.low_sum, channel.high_sum)


@pytest.mark.parametrize("shift", [-14, -9, -6, -1, 0, 2])
@pytest.mark.parametrize("zero_point", [-128, -3, 127])
def test_a_result_grows_at_its_steps_and_nowhere_else(shift: int, zero_point: int) -> None:
    rng = np.random.default_rng(1000 + shift * 10 + zero_point)
    for _ in range(20):
        channel = random_channel(rng, zero_point, shift)
        sums = some_sums(channel, rng)
        by_steps = -128 + (channel.steps()[None, :] <= sums[:, None]).sum(axis=1)
        np.testing.assert_array_equal(by_steps, reference(channel, sums))
        assert channel.result(int(sums[0])) == reference(channel, sums[:1])[0]


@pytest.mark.parametrize("spread", [0, 3])
def test_a_slope_gives_the_same_bits_for_every_sum_in_the_interval(spread: int) -> None:
    rng = np.random.default_rng(spread)
    proven = 0
    for _ in range(60):
        channel = random_channel(rng, -128, -int(rng.integers(4, 11)))
        shift = common_shift([channel])
        assert shift is not None
        found = find_slope(channel, shift - spread)
        if found is None:
            continue
        proven += 1
        sums = np.arange(channel.low_sum, channel.high_sum + 1)[: 1 << 20]
        v = sums * SCALE + found.offset
        assert np.abs(v).max() < 2**31
        result = np.clip((v * found.slope >> 32) >> (shift - spread), -128, 127)
        np.testing.assert_array_equal(result, np.maximum(reference(channel, sums), -128))
    assert proven >= 25


def test_the_exact_form_gives_the_same_bits_on_both_sides_of_zero() -> None:
    rng = np.random.default_rng(5)
    channels = tuple(random_channel(rng, int(rng.integers(-128, 128)), -int(rng.integers(1, 12))) for _ in range(100))
    found = find_exact(channels)
    assert found is not None
    for channel, (multiplier, addend, shift) in zip(channels, found.words, strict=True):
        sums = some_sums(channel, rng)
        v = (0 if channel.is_constant else sums) * SCALE
        high = (v * multiplier >> 32) + addend - 128 * (v < 0)
        assert np.abs(high).max() < 2**31
        np.testing.assert_array_equal(np.clip(high >> shift, -128, 127), reference(channel, sums) + 0 * v)


def test_constant_channels_need_no_sum() -> None:
    channels = (
        Channel(1 << 30, -31, -128, 2**30, 2**30 + 5000),
        Channel(0, 0, 5, -10, 10),
        Channel(1 << 30, -5, 0, 0, 1),
    )
    steps, exact = find_steps(channels, 12), find_exact(channels)
    assert steps is not None
    assert exact is not None
    assert [channel.is_constant for channel in channels] == [True, True, True]
    results = (steps.offsets * steps.words[:, 0] >> 32) >> (steps.shift or 0)
    assert results.tolist() == exact.words[:, 1].tolist() == [channel.constant for channel in channels]


def test_what_no_form_can_do_is_left_to_the_portable_kernel() -> None:
    beyond = Channel((1 << 30) + 12345, -9, 0, -(2**24), 2**24)
    wraps = Channel((1 << 30) + 12345, 4, 0, -(2**28), 2**28)
    assert find_finish((beyond,), 12) is None
    assert find_finish((wraps,), 12) is None


def test_words_hold_numbers_modulo_two_to_the_32() -> None:
    assert as_words(np.array([-1, 2**32 - 1, 2**31, 5], np.int64)).tolist() == [-1, -1, -(2**31), 5]


def test_results_from_the_least_number_on_need_no_room_for_the_rest() -> None:
    """With wide shifts the reference's addend leaves a register; a slope of the channel's own does not."""
    rng = np.random.default_rng(8)
    proven = 0
    for _ in range(30):
        low = int(rng.integers(-(2**22), 0))
        channel = Channel(int(rng.integers(1 << 30, 1 << 31)), -int(rng.integers(17, 19)), -128, low, low + 2**22)
        found = find_exact((channel,))
        if found is None or channel.is_constant:
            continue
        proven += 1
        sums = some_sums(channel, rng)
        multiplier, addend, shift = found.words[0]
        v = sums * SCALE + found.offsets[0]
        high = (v * multiplier >> 32) + addend - 128 * (v < 0)
        assert max(np.abs(v).max(), np.abs(high).max()) < 2**31
        np.testing.assert_array_equal(np.clip(high >> shift, -128, 127), reference(channel, sums))
    assert proven >= 10
