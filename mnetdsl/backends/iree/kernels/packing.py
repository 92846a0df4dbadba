"""Weights as kernels read them, arranged while compiling: padded channels, panels, one flat array each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def padded_size(channels: int, lanes: int) -> int:
    """`channels` rounded up to whole vectors."""
    return -(-channels // lanes) * lanes


def pad_last(array: Array, size: int) -> Array:
    """Zeros behind the last axis up to `size`: a padded channel computes activation(0) and is read by nobody, or by
    weights that are zero."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, size - array.shape[-1])])


def panels(matrix: Array, width: int) -> Array:
    """[K, N] as panels of `width` columns (the last one may be narrower), each of them [K, its columns], flat."""
    cuts = range(width, matrix.shape[1], width)
    return np.concatenate([panel.reshape(-1) for panel in np.split(matrix, cuts, axis=1)])
