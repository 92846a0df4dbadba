"""dense on stored integers has the bits of TensorFlow Lite's reference kernel."""

from __future__ import annotations

import numpy as np
import pytest

from tests.interpreter.quantized.layers import Layer, evaluate
from tests.numerics.references import inputs, on, random_grid
from tests.tflite_models import ACTIVATIONS, VALID, run_single


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
def test_bits_are_those_of_the_reference(rng: np.random.Generator, activation: str, dtype: str) -> None:
    for outputs in (1, 7):
        for scales in (1,) if dtype == "uint8" else (outputs, 1):
            source = random_grid(rng, dtype)
            layer = Layer(rng, source, (65, outputs), scales=scales, activation=activation)
            for x in inputs(rng, (3, 65), source):
                ours = evaluate("dense", layer.operands(x), layer.result, activation=activation)
                options = {"fusedActivationFunction": ACTIVATIONS[activation]}
                target = on(layer.result, (3, outputs))
                expected = run_single(
                    "FULLY_CONNECTED", layer.tensors(x), [x], target, "FullyConnectedOptions", options
                )
                np.testing.assert_array_equal(ours, expected)


def test_of_16_bits_it_is_a_convolution_of_one_pixel(rng: np.random.Generator) -> None:
    """LiteRT's fully connected kernel of 16 bits multiplies by a float64 factor, which has no integer form."""
    for outputs, scales in ((1, 1), (7, 1), (7, 7)):
        source = random_grid(rng, "int16", (1e-5, 1e-3))
        layer = Layer(rng, source, (1, 1, 65, outputs), scales=scales)
        for x in inputs(rng, (3, 1, 1, 65), source):
            _, reference = layer.convolved(x, (1, 1), (1, 1), VALID)
            operands = layer.operands(x.reshape(3, 65)) | {"filter": (layer.filter[0, 0], None)}
            np.testing.assert_array_equal(evaluate("dense", operands, layer.result), reference[:, 0, 0])
