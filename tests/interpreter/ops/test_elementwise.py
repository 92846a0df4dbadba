from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

from tests.interpreter.evaluation import evaluate, floats

FUNCTIONS = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}


@pytest.mark.parametrize("opcode", FUNCTIONS)
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((2, 3, 4, 5), (2, 3, 4, 5)),
        ((2, 3, 4, 5), (2, 1, 1, 5)),
        ((2, 1, 1, 5), (2, 3, 4, 5)),
        ((2, 3, 1, 5), (2, 1, 4, 1)),
        ((2, 3, 4, 5), (1, 3, 4, 5)),
        ((1, 1, 1, 1), (3, 2, 2, 2)),
        ((3, 6), (1, 6)),
    ],
)
def test_sizes_of_one_are_repeated(opcode: str, left: Any, right: Any) -> None:
    a, b = floats(*left, seed=1), floats(*right, seed=2)
    result = evaluate(opcode, {"left": a, "right": b})
    expected = np.empty(np.broadcast_shapes(left, right), np.float32)
    for index in np.ndindex(expected.shape):
        at_a = tuple(0 if size == 1 else i for i, size in zip(index, left, strict=True))
        at_b = tuple(0 if size == 1 else i for i, size in zip(index, right, strict=True))
        expected[index] = FUNCTIONS[opcode](a[at_a], b[at_b])
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("opcode", FUNCTIONS)
def test_activation_of_the_result(opcode: str) -> None:
    operands = {"left": floats(1, 4, 4, 2, seed=1), "right": floats(1, 4, 4, 2, seed=2)}
    plain = evaluate(opcode, operands)
    np.testing.assert_array_equal(evaluate(opcode, operands, activation="relu"), np.maximum(plain, 0))


def test_a_value_with_itself() -> None:
    x = floats(1, 2, 2, 3)
    np.testing.assert_array_equal(evaluate("add", {"left": x, "right": x}), 2 * x)


def test_infinity_and_nan_follow_ieee_754() -> None:
    left = np.array([[np.inf, np.inf, np.nan, 3e38]], np.float32)
    right = np.array([[-np.inf, 0.0, 0.0, 3e38]], np.float32)
    np.testing.assert_array_equal(evaluate("add", {"left": left, "right": right}), [[np.nan, np.inf, np.nan, np.inf]])
    np.testing.assert_array_equal(evaluate("mul", {"left": left, "right": right}), [[-np.inf, np.nan, np.nan, np.inf]])
