"""softmax on stored integers; `tests/numerics` compares the formula with the reference."""

from __future__ import annotations

import numpy as np

from mnetdsl.numerics.conversions import requantize
from mnetdsl.numerics.grid import Grid
from tests.interpreter.quantized.layers import evaluate
from tests.numerics.references import inputs, random_grid


def test_rows_are_independent(rng: np.random.Generator) -> None:
    source, result = random_grid(rng), Grid("int8", 1 / 256, -128)
    x = next(inputs(rng, (4, 3, 7), source))
    ours = evaluate("softmax", {"input": (x, source)}, result)
    for number in range(4):
        np.testing.assert_array_equal(
            ours[number : number + 1], evaluate("softmax", {"input": (x[number : number + 1], source)}, result)
        )


def test_on_another_grid_it_is_requantized(rng: np.random.Generator) -> None:
    source, usual, other = random_grid(rng), Grid("int8", 1 / 256, -128), Grid("int8", 0.01, -100)
    x = next(inputs(rng, (2, 7), source))
    expected = requantize(evaluate("softmax", {"input": (x, source)}, usual), usual, other)
    np.testing.assert_array_equal(evaluate("softmax", {"input": (x, source)}, other), expected)
