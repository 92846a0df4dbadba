from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mnetdsl.numerics.gelu import gelu

X = np.concatenate(
    [np.linspace(-14, 14, 300_001), np.geomspace(1e-38, 1e30, 3_000), -np.geomspace(1e-38, 1e30, 3_000), [0.0]]
).astype(np.float32)


def evaluated(x: NDArray[Any], dtype: type = np.float32) -> NDArray[Any]:
    result: NDArray[Any] = np.empty(x.shape, dtype)
    with np.errstate(all="ignore"):
        gelu(x, result)
    return result


def test_relative_error_before_rounding_is_below_three_in_ten_to_the_ten() -> None:
    wide = X.astype(np.float64)
    np.testing.assert_allclose(evaluated(X, np.float64), wide * special.ndtr(wide), rtol=3e-10, atol=1e-46)


def test_results_are_the_nearest_float32_but_for_near_ties() -> None:
    wide = X.astype(np.float64)
    nearest = (wide * special.ndtr(wide)).astype(np.float32)
    found = evaluated(X)
    np.testing.assert_array_max_ulp(found, nearest, 1)
    assert np.mean(found != nearest) < 1e-2


def test_limits_nan_and_zeros() -> None:
    x = np.array([np.inf, -np.inf, np.nan, -200.0], np.float32)
    np.testing.assert_array_equal(evaluated(x), [np.inf, np.nan, np.nan, 0.0])
    assert np.signbit(evaluated(np.array([-0.0], np.float32)))[0]
    assert evaluated(np.empty((0, 3), np.float32)).shape == (0, 3)


def test_in_place_over_many_blocks_is_the_same() -> None:
    x = np.random.default_rng(0).normal(0, 3, (7, 5_001)).astype(np.float32)
    expected = evaluated(x)
    gelu(x, x)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(evaluated(expected.T), evaluated(np.ascontiguousarray(expected.T)))
