from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from tests.interpreter.evaluation import EPSILON, evaluate, floats


@pytest.mark.parametrize("shape", [(1, 10), (3, 1000), (2, 3, 4, 21), (2, 1)])
def test_value_and_sum(shape: tuple[int, ...]) -> None:
    x = floats(*shape) * np.float32(4)
    result = evaluate("softmax", {"input": x})
    assert result.dtype == np.float32
    exact = special.softmax(x.astype(np.float64), axis=-1)
    # The difference to the maximum is rounded to float32; the exponential turns that into a relative error.
    distance = x.max(axis=-1, keepdims=True) - x
    np.testing.assert_array_less(np.abs(result - exact), (distance / 2 + 4) * EPSILON * exact)
    np.testing.assert_allclose(result.sum(axis=-1, dtype=np.float64), 1.0, rtol=1e-6)


def test_large_logits_do_not_overflow() -> None:
    x = np.array([[3e38, 3e38, -3e38], [1e4, 1e4 - 1, -1e4]], np.float32)
    np.testing.assert_allclose(
        evaluate("softmax", {"input": x}), special.softmax(x.astype(np.float64), axis=-1), rtol=1e-6
    )


def test_long_rows_are_summed_without_drift() -> None:
    x = np.full((1, 2_000_000), -3.0, np.float32)
    x[0, 0] = 13.0
    exact = 1.0 / (1.0 + (x.size - 1) * np.exp(-16.0))
    np.testing.assert_allclose(evaluate("softmax", {"input": x})[0, 0], exact, rtol=1e-6)


def test_minus_infinity_has_no_part_and_nan_spoils_its_row_only() -> None:
    x = np.array([[-np.inf, 1.0, 1.0], [np.nan, 1.0, 1.0]], np.float32)
    np.testing.assert_array_equal(evaluate("softmax", {"input": x}), [[0.0, 0.5, 0.5], [np.nan] * 3])
