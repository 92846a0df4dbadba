"""softmax of stored numbers.

TensorFlow Lite computes it in float32 from a table of 256 exponentials, also under its reference resolver
(`optimized_ops::Softmax` for quantized types, activations.cc). Additions are in the order of the channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.exponential import exp_single
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.rounding import saturate

ENTRIES = 256


def softmax_table(source: Grid) -> NDArray[np.float32]:
    """[256]: exp(-d * scale) for the difference d = max - q of 8-bit numbers."""
    return exp_single(-source.single * np.arange(ENTRIES, dtype=np.float32))


def softmax(q: NDArray[Any], source: Grid, result: Grid) -> NDArray[Any]:
    """Over the last axis, of 8-bit numbers; the result's scale is 1/256 in networks of TensorFlow Lite."""
    below = q.max(axis=-1, keepdims=True).astype(np.int32) - q
    powers = softmax_table(source)[below]
    # A running sum adds one channel after the other; NumPy's sum pairs them.
    total = np.cumsum(powers, axis=-1, dtype=np.float32)[..., -1:]
    factor = np.float32(1) / (total * result.single)
    steps = np.floor(powers * factor + np.float32(0.5)).astype(np.int64)
    return saturate(steps + result.zero_point, result.low, result.high, result.dtype)
