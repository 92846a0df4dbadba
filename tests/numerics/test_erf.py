from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from mnetdsl.numerics.erf import erf, erfc, normal_distribution

X = np.concatenate(
    [np.linspace(-26, 26, 200_001), np.geomspace(1e-300, 4, 2_000), -np.geomspace(1e-300, 4, 2_000), [0.5, 4.0, -4.0]]
)


@pytest.mark.parametrize(
    ("function", "exact"), [(erf, special.erf), (erfc, special.erfc), (normal_distribution, special.ndtr)]
)
def test_relative_error_is_below_one_in_ten_to_the_fourteen(
    function: Callable[[Any], Any], exact: Callable[[Any], Any]
) -> None:
    np.testing.assert_allclose(function(X), exact(X), rtol=1e-14, atol=0)


def test_limits_and_nan() -> None:
    x = np.array([-np.inf, np.inf, np.nan])
    np.testing.assert_array_equal(erf(x), [-1, 1, np.nan])
    np.testing.assert_array_equal(erfc(x), [2, 0, np.nan])
    np.testing.assert_array_equal(normal_distribution(x), [0, 1, np.nan])


def test_erf_is_odd_and_keeps_the_sign_of_zero() -> None:
    np.testing.assert_array_equal(erf(-X), -erf(X))
    assert np.signbit(erf(np.array([-0.0])))[0]
