"""Moving stored integers."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.interpreter import evaluate_op
from mnetdsl.ir.ops.shape import Concat
from mnetdsl.numerics.conversions import requantize
from mnetdsl.numerics.grid import Grid
from tests.interpreter.quantized.layers import evaluate, storage, stored
from tests.numerics.references import inputs, on, random_grid
from tests.tflite_models import Tensor, run_single


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_a_border_of_zero_is_the_zero_point(rng: np.random.Generator, dtype: str) -> None:
    grid = random_grid(rng, dtype)
    x = next(inputs(rng, (2, 3, 4, 5), grid))
    ours = evaluate("pad", {"input": (x, grid)}, grid, padding=(1, 0, 2, 3))
    paddings = Tensor.constant(np.array([[0, 0], [1, 0], [2, 3], [0, 0]], np.int32))
    np.testing.assert_array_equal(ours, run_single("PAD", [on(grid, x.shape), paddings], [x], on(grid, ours.shape)))


def test_a_border_is_stored_like_the_map() -> None:
    grid = Grid("int8", 0.5, 10)
    x = np.zeros((1, 1, 1, 1), np.int8)
    assert evaluate("pad", {"input": (x, grid)}, grid, padding=(1, 0, 0, 0), value=-6.0)[0, 0, 0, 0] == -2
    assert evaluate("pad", {"input": (x, grid)}, grid, padding=(1, 0, 0, 0), value=-900.0)[0, 0, 0, 0] == -128


def test_concat_of_int8_requantizes_what_is_on_another_grid(rng: np.random.Generator) -> None:
    left, right, result = (random_grid(rng) for _ in range(3))
    x, y = next(inputs(rng, (2, 3, 4), left)), next(inputs(rng, (2, 3, 5), right))
    op = Concat({"inputs": [stored(x, left), stored(y, right)]}, {"axis": 2}, storage=storage(result))
    expected = np.concatenate([requantize(x, left, result), requantize(y, right, result)], axis=2)
    np.testing.assert_array_equal(evaluate_op(op, [x, y], {}), expected)


def test_reshape_keeps_the_numbers(rng: np.random.Generator) -> None:
    grid = random_grid(rng)
    x = next(inputs(rng, (2, 3, 4), grid))
    np.testing.assert_array_equal(evaluate("reshape", {"input": (x, grid)}, grid, shape=(12,)), x.reshape(2, 12))
