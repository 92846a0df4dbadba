"""The weight file of a quantized network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.core import Module
from mnetdsl.ir.types import Storage
from mnetdsl.quantize.grid import BOUNDS, numbers
from mnetdsl.quantize.layers import Layer, weighted_layers
from mnetdsl.quantize.tuning import Tuned
from mnetdsl.weights.expected import expected_weights

Array = NDArray[np.generic]


def weight_arrays(quantized: Module, source: Module, weights: Mapping[str, Array], tuned: Tuned) -> dict[str, Array]:
    """The arrays that `quantized`, made of the `quantizable` module `source`, asks for.

    weights: of `source`, as they are after equalization. tuned: the integers of its layers.
    """
    layers = weighted_layers(source)
    found: dict[str, Array] = {}
    for name, expected in expected_weights(quantized).items():
        owner, _, key = name.rpartition(".")
        layer = layers.get(owner)
        if layer is not None and key in ("weight", "bias", "weight_scale"):
            found[name] = _layer_array(layer, key, weights, tuned, expected.type.element.dtype)
        else:
            found[name] = stored_constant(np.asarray(weights[name]), expected.type.storage)
    return found


def _layer_array(layer: Layer, key: str, weights: Mapping[str, Array], tuned: Tuned, dtype: str) -> Array:
    codes = tuned.codes.get(layer.name)
    if codes is None:
        resource = layer.weight if key == "weight" else layer.bias
        assert resource is not None
        return np.asarray(weights[resource], np.float32)
    match key:
        case "weight":
            return layer.from_rows(codes.codes).astype(dtype)
        case "bias":
            return tuned.biases[layer.name].astype(dtype)
        case _:
            return codes.scale.astype(np.float32)


def stored_constant(values: Array, storage: Storage) -> Array:
    """A constant operand as its storage holds it; itself where that is float."""
    if storage.quantization is None:
        return values
    scale, zero_point = numbers(storage)
    scaled = values.astype(np.float64) / scale
    codes = np.trunc(scaled + np.copysign(0.5, scaled)) + zero_point
    result: Array = np.clip(codes, *BOUNDS[storage.element]).astype(storage.element.dtype)
    return result
