"""A distance is safe when simulated byte by byte, and the next smaller one is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnetdsl.plan.sweep import Axis, Sweep, pixel_sweep, window_sweep

sizes = st.integers(1, 6)


def survives(sweep: Sweep, difference: int, backward: bool) -> bool:
    """Runs the sweep on an input at address 0 with the output `difference` above it: is all read before it is lost?

    Forward, a unit reads, writes all but its tail, reads again, then writes the tail. Backward, it writes from its
    first byte on while it reads.
    """
    units = range(len(sweep.read_begin))
    lost: set[int] = set()
    for unit in reversed(units) if backward else units:
        reads = set(range(int(sweep.read_begin[unit]), int(sweep.read_end[unit])))
        start = difference + unit * sweep.unit
        early = range(start, start + sweep.unit - (0 if backward else sweep.tail))
        lost |= set(early)
        if reads & lost:
            return False
        lost |= set(range(start, start + sweep.unit))
    return True


@st.composite
def sweeps(draw: st.DrawFn) -> Sweep:
    unit = draw(sizes)
    tail = draw(st.integers(0, unit))
    if draw(st.booleans()):
        return pixel_sweep(draw(sizes), draw(sizes), unit, tail)
    axes = []
    for _ in range(2):
        size, kernel, stride, dilation = (
            draw(sizes),
            draw(st.integers(1, 3)),
            draw(st.integers(1, 3)),
            draw(st.integers(1, 2)),
        )
        before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        positions = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
        axes.append(Axis(size, max(1, positions), kernel, stride, dilation, before))
    return window_sweep(axes[0], axes[1], draw(st.integers(1, 3)), unit, tail)


@settings(max_examples=200, deadline=None)
@given(sweeps())
def test_the_forward_distance_is_the_smallest_safe_one_and_every_larger_one_is_safe(sweep: Sweep) -> None:
    least = sweep.forward()
    assert all(survives(sweep, -distance, False) for distance in range(least, least + 12))
    if least > 0:
        assert not survives(sweep, -(least - 1), False)


@settings(max_examples=200, deadline=None)
@given(sweeps())
def test_the_backward_distance_is_the_smallest_safe_one_and_every_larger_one_is_safe(sweep: Sweep) -> None:
    least = sweep.backward()
    assert all(survives(sweep, distance, True) for distance in range(least, least + 12))
    if least > 0:
        assert not survives(sweep, least - 1, True)


def test_a_pointwise_layer_that_grows_needs_no_more_than_its_output() -> None:
    """V2's largest expansion, 16 to 96 channels: the input ends where the last panel of 16 channels begins."""
    sweep = pixel_sweep(112 * 112, 16 * 4, 96 * 4, 16 * 4)
    assert sweep.forward() + 112 * 112 * 16 * 4 == 112 * 112 * 96 * 4


@pytest.mark.parametrize(("stride", "rows"), [(1, 1), (2, 0)])
def test_a_depthwise_layer_stays_a_row_and_a_pixel_behind_with_stride_1_and_in_place_with_stride_2(
    stride: int, rows: int
) -> None:
    size, channels = 16, 8
    before = 1 if stride == 1 else 0
    axis = Axis(size, size // stride, 3, stride, 1, before)
    sweep = window_sweep(axis, axis, channels * 4, channels * 4, channels * 4)
    assert sweep.forward() == rows * (size + 1) * channels * 4


def test_a_window_in_the_padding_reads_nothing() -> None:
    first, last = Axis(2, 4, 1, 1, 1, 1).reach()
    assert (last < first).tolist() == [True, False, False, True]
    sweep = window_sweep(Axis(2, 4, 1, 1, 1, 1), Axis(1, 1, 1), 4, 4, 0)
    assert np.count_nonzero(sweep.read_end > sweep.read_begin) == 2
