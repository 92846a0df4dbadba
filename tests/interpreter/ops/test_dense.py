from __future__ import annotations

import numpy as np
import pytest

from tests.interpreter.evaluation import assert_rounded, evaluate, floats


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("biased", [True, False])
def test_each_result_is_a_dot_product(batch: int, biased: bool) -> None:
    x, filter, bias = floats(batch, 30), floats(30, 7), floats(7)
    result = evaluate("dense", {"input": x, "filter": filter, "bias": bias if biased else None})
    exact = np.array(
        [[sum(float(a) * float(b) for a, b in zip(row, column, strict=True)) for column in filter.T] for row in x]
    )
    magnitude = np.abs(x).astype(np.float64) @ np.abs(filter)
    if biased:
        exact += bias
        magnitude += np.abs(bias)
    assert_rounded(result, exact, magnitude, 31)


def test_one_feature_and_one_output() -> None:
    assert evaluate("dense", {"input": np.full((1, 1), 3, np.float32), "filter": np.full((1, 1), -2, np.float32)}) == -6


def test_activation_follows_the_bias() -> None:
    operands = {"input": floats(2, 5), "filter": floats(5, 6), "bias": floats(6)}
    plain = evaluate("dense", operands)
    np.testing.assert_array_equal(evaluate("dense", operands, activation="relu"), np.maximum(plain, 0))
