"""Bounds of sums hold for every input, and are reached."""

from __future__ import annotations

import numpy as np

from mnetdsl.numerics.bounds import ACCUMULATOR, layer_bounds, sum_bounds
from mnetdsl.numerics.grid import Grid


def test_bounds_are_those_of_the_worst_input(rng: np.random.Generator) -> None:
    filter = rng.integers(-127, 128, (36, 8))
    bounds = sum_bounds(filter, -3, 252)
    best = np.where(filter > 0, 252, -3)
    worst = np.where(filter > 0, -3, 252)
    assert bounds.high.tolist() == (filter * best).sum(0).tolist()
    assert bounds.low.tolist() == (filter * worst).sum(0).tolist()
    assert bounds.largest == max(int(bounds.high.max()), -int(bounds.low.min()))


def test_partial_sums_are_within_the_magnitude(rng: np.random.Generator) -> None:
    filter = rng.integers(-127, 128, (50, 4))
    bounds = sum_bounds(filter, -128, 127)
    for _ in range(50):
        x = rng.choice([-128, 127], (50, 1))
        assert (np.abs(np.cumsum(rng.permutation(filter * x), axis=0)) <= bounds.magnitude).all()


def test_long_sums_are_exact() -> None:
    bounds = sum_bounds(np.full((70_001, 1), 127), -128, 127)
    assert bounds.high.tolist() == [70_001 * 127 * 127]


def test_the_zero_point_of_a_filter_is_subtracted() -> None:
    bounds = layer_bounds(np.array([[0], [255]], np.uint8), 255, Grid("uint8", 0.1, 0))
    assert (bounds.low.tolist(), bounds.high.tolist()) == ([-255 * 255], [0])


def test_a_bias_near_the_limit_is_proven_by_channel() -> None:
    bounds = layer_bounds(np.full((9, 2), 127, np.int8), 0, Grid("int8", 0.1, -128))
    bias = np.array([2**31 - 1 - 9 * 127 * 255, 2**31 - 9 * 127 * 255], np.int64)
    assert bounds.proven(bias, ACCUMULATOR).tolist() == [True, False]
    assert bounds.proven(None).all()
