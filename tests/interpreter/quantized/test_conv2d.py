"""conv2d on stored integers has the bits of TensorFlow Lite's reference kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnetdsl.diagnostics import MnetError
from mnetdsl.numerics.grid import Grid
from tests.interpreter.quantized.layers import Layer, evaluate
from tests.numerics.references import inputs, random_grid
from tests.tflite_models import SAME, VALID

CASES: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, int], tuple[int, int], int, str]] = [
    ((1, 9, 7, 3), (3, 3, 3, 5), (2, 2), (1, 1), SAME, "relu6"),
    ((1, 8, 8, 16), (1, 1, 16, 24), (1, 1), (1, 1), SAME, "none"),
    ((1, 7, 5, 4), (1, 1, 4, 6), (2, 2), (1, 1), VALID, "relu"),
    ((2, 6, 11, 2), (3, 5, 2, 7), (1, 2), (1, 1), VALID, "none"),
    ((1, 13, 13, 4), (3, 3, 4, 3), (1, 1), (2, 3), SAME, "relu"),
    ((3, 4, 4, 300), (1, 1, 300, 8), (1, 1), (1, 1), SAME, "none"),
]


def scale_counts(dtype: str, outputs: int) -> tuple[int, ...]:
    """Legacy models have one scale a filter, others one a channel or one a filter."""
    return (1,) if dtype == "uint8" else (outputs, 1)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("case", CASES)
def test_bits_are_those_of_the_reference(rng: np.random.Generator, case: Any, dtype: str) -> None:
    shape, filter, strides, dilations, padding, activation = case
    for scales in scale_counts(dtype, filter[-1]):
        for bias in (True, False):
            source = random_grid(rng, dtype, (1e-5, 1e-3) if dtype == "int16" else (0.002, 0.3))
            layer = Layer(rng, source, filter, scales=scales, bias=bias, activation=activation)
            for x in inputs(rng, shape, source):
                ours, reference = layer.convolved(x, strides, dilations, padding)
                assert ours.dtype == reference.dtype
                np.testing.assert_array_equal(ours, reference)


def test_sums_beyond_float32_are_exact(rng: np.random.Generator) -> None:
    """4000 products of up to 255 * 127 exceed 2^24; the smallest and largest inputs reach the bound."""
    source = Grid("int8", 0.02, -128)
    layer = Layer(rng, source, (1, 1, 4000, 3), scales=3)
    layer.filter[..., 0] = 127
    for x in inputs(rng, (1, 2, 2, 4000), source):
        ours, reference = layer.convolved(x, (1, 1), (1, 1), VALID)
        np.testing.assert_array_equal(ours, reference)


def test_factors_from_tiny_to_above_one(rng: np.random.Generator) -> None:
    """Shifts to the right by up to 31, and to the left; biases near 2^30."""
    source = Grid("int8", 0.05, 3)
    layer = Layer(rng, source, (1, 1, 2, 8), scales=8)
    layer.scales = np.array([1e-10, 1e-7, 1e-4, 0.02, 0.3, 1.0, 3.0, 1e-12], np.float32)
    layer.bias = np.array([2**30, -(2**29), 5000, -3, 1, 0, 2, 2**30 - 7], np.int32)
    layer.result = Grid("int8", 0.04, -5)
    for x in inputs(rng, (1, 4, 4, 2), source):
        ours, reference = layer.convolved(x, (1, 1), (1, 1), VALID)
        np.testing.assert_array_equal(ours, reference)


def test_a_layer_whose_sums_may_overflow_is_refused() -> None:
    x = np.zeros((1, 1, 1, 2), np.int8)
    grid = Grid("int8", 0.1, 0)
    operands: dict[str, tuple[Any, Grid | None]] = {
        "input": (x, grid),
        "filter": (np.full((1, 1, 2, 3), 127, np.int8), None),
        "bias": (np.array([0, 2**31 - 1000, 0], np.int32), None),
        "filter_scale": (np.ones(3, np.float32), None),
    }
    with pytest.raises(MnetError) as found:
        evaluate("conv2d", operands, grid)
    (diagnostic,) = found.value.diagnostics
    assert diagnostic.code == "MN0722"
    assert "output channel 1" in diagnostic.message
