"""dense on stored integers has the bits of TensorFlow Lite's integer kernels.

Its reference kernel for hosts multiplies sums by a float factor and rounds once, since TensorFlow 2.20; the kernels for
microcontrollers round twice, and so does the interpreter.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mnetdsl.numerics.requantization import quantize_multipliers
from mnetdsl.numerics.scales import layer_factors
from tests.interpreter.quantized.layers import Layer, evaluate
from tests.numerics.references import inputs, on, random_grid
from tests.tflite_models import ACTIVATIONS, VALID, run_single

Reals = NDArray[np.float64]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
def test_results_are_those_of_the_reference_but_for_what_its_single_rounding_moves(
    rng: np.random.Generator, activation: str, dtype: str
) -> None:
    for outputs in (1, 7, 200):
        for scales in (1,) if dtype == "uint8" else (outputs, 1):
            source = random_grid(rng, dtype)
            layer = Layer(rng, source, (65, outputs), scales=scales, activation=activation)
            factors = np.broadcast_to(layer_factors(source, layer.scales, layer.result, dense=True), (outputs,))
            for x in inputs(rng, (3, 65), source):
                ours = evaluate("dense", layer.operands(x), layer.result, activation=activation)
                options = {"fusedActivationFunction": ACTIVATIONS[activation]}
                target = on(layer.result, (3, outputs))
                expected = run_single(
                    "FULLY_CONNECTED", layer.tensors(x), [x], target, "FullyConnectedOptions", options
                )
                taps = layer.filter.astype(np.int64) - (layer.zero_point or 0)
                sums = (x.astype(np.int64) - source.zero_point) @ taps
                bias = np.zeros(outputs, np.int64) if layer.bias is None else layer.bias.astype(np.int64)
                exact = (sums + bias) * factors
                apart = ours != expected
                assert (np.abs(ours.astype(np.int64) - expected) <= 1).all()
                assert (_from_half(exact) <= _first_rounding(factors))[apart].all()


def _from_half(numbers: Reals) -> Reals:
    found: Reals = np.abs(numbers - np.floor(numbers) - 0.5)
    return found


def _first_rounding(factors: Reals) -> Reals:
    """How far the first of two roundings moves a result: half of the last of the bits that the second one drops."""
    _, shifts = quantize_multipliers(factors)
    found: Reals = 0.5 ** (1.0 - np.minimum(shifts, 0)) + 1e-5
    return found


def test_of_16_bits_it_is_a_convolution_of_one_pixel(rng: np.random.Generator) -> None:
    """LiteRT's fully connected kernel of 16 bits multiplies by a float64 factor, which has no integer form."""
    for outputs, scales in ((1, 1), (7, 1), (7, 7)):
        source = random_grid(rng, "int16", (1e-5, 1e-3))
        layer = Layer(rng, source, (1, 1, 65, outputs), scales=scales)
        for x in inputs(rng, (3, 1, 1, 65), source):
            _, reference = layer.convolved(x, (1, 1), (1, 1), VALID)
            operands = layer.operands(x.reshape(3, 65)) | {"filter": (layer.filter[0, 0], None)}
            np.testing.assert_array_equal(evaluate("dense", operands, layer.result), reference[:, 0, 0])
