"""Unary functions of stored integers are tables; `numerics` has the formulas and their references."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.tables import unary_table
from tests.interpreter.quantized.layers import evaluate
from tests.numerics.references import inputs, on, random_grid
from tests.tflite_models import run_single


@pytest.mark.parametrize("function", UNARY_FUNCTIONS)
def test_eight_bits_are_looked_up(rng: np.random.Generator, function: str) -> None:
    source, result = random_grid(rng), random_grid(rng)
    x = next(inputs(rng, (2, 3, 4), source))
    expected = unary_table(function, source, result)[x.view(np.uint8)]
    np.testing.assert_array_equal(evaluate(function, {"input": (x, source)}, result), expected)


@pytest.mark.parametrize("function", UNARY_FUNCTIONS)
def test_sixteen_bits_follow_the_function(rng: np.random.Generator, function: str) -> None:
    source, result = Grid("int16", 0.0005), Grid("int16", 0.0005)
    x = next(inputs(rng, (1, 999), source))
    real = evaluate(function, {"input": ((x * 0.0005).astype(np.float32), None)}, None)
    assert np.abs(evaluate(function, {"input": (x, source)}, result) * 0.0005 - real).max() < 0.02


def test_clamp_between_real_numbers(rng: np.random.Generator) -> None:
    source, result = random_grid(rng), random_grid(rng)
    for x in inputs(rng, (2, 99), source):
        ours = evaluate("clamp", {"input": (x, source)}, result, low=-1.0, high=1.0)
        np.testing.assert_array_equal(ours, run_single("RELU_N1_TO_1", [on(source, x.shape)], [x], on(result, x.shape)))
