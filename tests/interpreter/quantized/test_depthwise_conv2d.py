"""depthwise_conv2d on stored integers has the bits of TensorFlow Lite's reference kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.interpreter.quantized.layers import Layer
from tests.numerics.references import inputs, random_grid
from tests.tflite_models import SAME, VALID

CASES: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, int], tuple[int, int], int, str]] = [
    ((1, 9, 7, 5), (3, 3, 5, 1), (1, 1), (1, 1), SAME, "relu6"),
    ((1, 8, 10, 70), (3, 3, 70, 1), (2, 2), (1, 1), SAME, "none"),
    ((1, 8, 9, 3), (3, 3, 3, 1), (2, 2), (1, 1), VALID, "relu"),
    ((1, 6, 6, 3), (5, 5, 3, 2), (1, 1), (1, 1), SAME, "none"),
    ((1, 11, 11, 4), (3, 3, 4, 1), (1, 1), (2, 2), SAME, "relu"),
]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("case", CASES)
def test_bits_are_those_of_the_reference(rng: np.random.Generator, case: Any, dtype: str) -> None:
    shape, filter, strides, dilations, padding, activation = case
    outputs = filter[2] * filter[3]
    for scales in (1,) if dtype == "uint8" else (outputs, 1):
        for bias in (True, False):
            source = random_grid(rng, dtype, (1e-5, 1e-3) if dtype == "int16" else (0.002, 0.3))
            layer = Layer(rng, source, filter, depthwise=True, scales=scales, bias=bias, activation=activation)
            for x in inputs(rng, shape, source):
                ours, reference = layer.convolved(x, strides, dilations, padding)
                assert ours.dtype == reference.dtype
                np.testing.assert_array_equal(ours, reference)
