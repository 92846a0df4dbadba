"""Int8 weights: one scale per output channel, symmetric, of least squared error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnetdsl.quantize.grid import SMALLEST_SCALE, WEIGHT_LIMIT

Doubles = NDArray[np.float64]
_CLIPS = np.linspace(1.0, 0.6, 41)
_BIAS_LIMIT = 2**30
_FINE_BIAS = 2**20


@dataclass(frozen=True)
class QuantizedRows:
    """codes [O, K] in [-127, 127] and scale [O], float32 numbers: a layer's filter as rows."""

    codes: Doubles
    scale: Doubles

    @property
    def real(self) -> Doubles:
        return self.codes * self.scale[:, None]


def extreme_scales(rows: Doubles) -> Doubles:
    """The scale [O] at which each row's largest weight is stored as 127."""
    return _usable(np.abs(rows).max(axis=1, initial=0.0) / WEIGHT_LIMIT)


def best_scales(rows: Doubles, importance: Doubles | None = None) -> Doubles:
    """The scale [O] at which each row [K] loses least.

    importance: [K] or [O, K], mean squares of what the weights are multiplied with; alike where None.
    """
    weight = np.ones_like(rows) if importance is None else np.broadcast_to(importance, rows.shape)
    largest = extreme_scales(rows)
    best, least = largest.copy(), np.full(len(rows), np.inf)
    for clip in _CLIPS:
        scale = _usable(largest * clip)
        lost = nearest(rows, scale).real - rows
        cost = (lost * lost * weight).sum(axis=1)
        better = cost < least
        best[better], least[better] = scale[better], cost[better]
    return best


def nearest(rows: Doubles, scale: Doubles) -> QuantizedRows:
    """Each weight as the code next to it."""
    codes = np.clip(np.rint(rows / scale[:, None]), -WEIGHT_LIMIT, WEIGHT_LIMIT)
    return QuantizedRows(codes, scale)


def scales_for_biases(scale: Doubles, rows: Doubles, biases: Doubles, input_scale: float) -> Doubles:
    """`scale` [O] with which biases can be stored as well, in units of input_scale * scale.

    Raised where a bias would not fit into 32 bits: channels of tiny weights and a large bias. A row of zeros is stored
    alike by any scale; it gets one that stores its bias finely.
    """
    magnitudes = np.abs(biases) / input_scale
    needed = np.where(rows.any(axis=1), scale, magnitudes / _FINE_BIAS)
    return _usable(np.maximum(needed, magnitudes / _BIAS_LIMIT))


def bias_codes(biases: Doubles, input_scale: float, scale: Doubles) -> Doubles:
    """Biases [O] in units of the accumulator; those that a correction has moved out of reach end at its border."""
    return np.clip(np.rint(biases / (float(input_scale) * scale)), -_BIAS_LIMIT, _BIAS_LIMIT)


def _usable(scale: Doubles) -> Doubles:
    """As float32 holds it; rows of zeros get some scale."""
    rounded = np.where(scale > SMALLEST_SCALE, scale, 1.0).astype(np.float32)
    return rounded.astype(np.float64)
