from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from tests.interpreter.evaluation import evaluate

X = np.concatenate(
    [np.linspace(-12, 12, 4001), np.geomspace(1e-30, 80, 300), -np.geomspace(1e-30, 80, 300), [0.0, -0.0, 3.0, -3.0]]
).astype(np.float32)[None]

EXACT: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "hard_sigmoid": lambda x: np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "hard_swish": lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "sigmoid": special.expit,
    "silu": lambda x: x * special.expit(x),
    "gelu": lambda x: x * special.ndtr(x),
    "tanh": np.tanh,
}


def test_every_unary_function_has_a_definition_here() -> None:
    assert set(EXACT) == set(UNARY_FUNCTIONS)


@pytest.mark.parametrize("opcode", UNARY_FUNCTIONS)
def test_value(opcode: str) -> None:
    result = evaluate(opcode, {"input": X})
    assert result.dtype == np.float32
    # Near x = -3 the sum x + 3 of the hard functions has an absolute error, elsewhere all errors are relative.
    absolute = 4e-7 if opcode.startswith("hard") else 1e-44
    np.testing.assert_allclose(result, EXACT[opcode](X.astype(np.float64)), rtol=6e-7, atol=absolute)


def test_gelu_is_the_exact_function_rounded_once() -> None:
    result = evaluate("gelu", {"input": X})
    exact = X.astype(np.float64) * special.ndtr(X.astype(np.float64))
    np.testing.assert_allclose(result, exact, rtol=6.1e-8, atol=1e-45)


LIMITS = {
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "hard_sigmoid": (0.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
}


@pytest.mark.parametrize("opcode", LIMITS)
def test_infinity_gives_the_limit(opcode: str) -> None:
    x = np.array([[-np.inf, np.inf]], np.float32)
    np.testing.assert_array_equal(evaluate(opcode, {"input": x}), [LIMITS[opcode]])


@pytest.mark.parametrize("opcode", ["hard_swish", "silu", "gelu"])
def test_functions_that_multiply_by_x_follow_ieee_754_at_infinity(opcode: str) -> None:
    x = np.array([[-np.inf, np.inf]], np.float32)
    np.testing.assert_array_equal(evaluate(opcode, {"input": x}), [[np.nan, np.inf]])


@pytest.mark.parametrize("opcode", UNARY_FUNCTIONS)
def test_nan_stays_nan(opcode: str) -> None:
    x = np.array([[np.nan, 1.0]], np.float32)
    np.testing.assert_array_equal(np.isnan(evaluate(opcode, {"input": x})), [[True, False]])


def test_sigmoid_and_silu_far_from_zero() -> None:
    x = np.array([[-3e38, -500.0, -90.0, 90.0, 500.0, 3e38]], np.float32)
    sigmoid = evaluate("sigmoid", {"input": x})
    np.testing.assert_allclose(sigmoid, special.expit(x.astype(np.float64)), rtol=1e-6, atol=2e-45)
    silu = evaluate("silu", {"input": x})
    np.testing.assert_allclose(silu, x.astype(np.float64) * special.expit(x.astype(np.float64)), rtol=1e-5, atol=1e-43)


@pytest.mark.parametrize("shape", [(1, 7), (2, 3, 4, 5), (3, 1, 1, 1)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    x = np.linspace(-4, 9, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(evaluate("relu6", {"input": x}), np.clip(x, 0, 6))


def test_clamp() -> None:
    x = np.array([[-np.inf, -2.0, -1.0, 0.25, 0.5, 7.0, np.inf, np.nan]], np.float32)
    result = evaluate("clamp", {"input": x}, low=-1.0, high=0.5)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [[-1.0, -1.0, -1.0, 0.25, 0.5, 0.5, 0.5, np.nan]])
    np.testing.assert_array_equal(evaluate("clamp", {"input": x}, low=2.0, high=2.0)[0, :7], np.full(7, 2.0))
