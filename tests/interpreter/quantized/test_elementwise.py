"""add, sub and mul of stored integers broadcast, and follow batches."""

from __future__ import annotations

import numpy as np
import pytest

from tests.interpreter.quantized.layers import evaluate
from tests.numerics.references import inputs, on, random_grid
from tests.tflite_models import ACTIVATIONS, run_single


@pytest.mark.parametrize("opcode", ["add", "sub", "mul"])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_bits_are_those_of_the_reference(rng: np.random.Generator, dtype: str, opcode: str) -> None:
    left, right, result = (random_grid(rng, dtype) for _ in range(3))
    for x, y in zip(inputs(rng, (2, 4, 5, 6), left), inputs(rng, (2, 1, 1, 6), right), strict=True):
        ours = evaluate(opcode, {"left": (x, left), "right": (y, right)}, result, activation="relu")
        expected = run_single(
            opcode.upper(),
            [on(left, x.shape), on(right, y.shape)],
            [x, y],
            on(result, x.shape),
            f"{opcode.capitalize()}Options",
            {"fusedActivationFunction": ACTIVATIONS["relu"]},
        )
        np.testing.assert_array_equal(ours, expected)
