"""Work in bands of rows, small enough that a band's result is still in the cache when the epilogue reads it."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import DTypeLike

from mnetdsl.interpreter.frame import Array

ALIGNMENT = 64
"""Bytes of a cache line. NumPy aligns to 16; stores that straddle two lines take twice as long."""


def band_height(rows: int, row_elements: int, band_elements: int) -> int:
    """How many of `rows` make a band of at most `band_elements` elements, but at least one row."""
    return min(rows, max(1, band_elements // row_elements))


def bands(rows: int, step: int) -> Iterator[tuple[int, int]]:
    """Splits `rows` into bands `start, stop` of `step` rows; the last may be lower."""
    for start in range(0, rows, step):
        yield start, min(rows, start + step)


def repeated(channels: Array, width: int) -> Array:
    """[…, C] repeated for each pixel of a row: […, width * C].

    NumPy adds and multiplies a few long rows faster than many short runs of channels.
    """
    *others, count = channels.shape
    result = np.empty((*others, width, count), channels.dtype)
    result[:] = channels[..., None, :]
    return result.reshape(*others, width * count)


def aligned_empty(*shape: int, dtype: DTypeLike = np.float32) -> Array:
    """An array of undefined content that starts on a cache line."""
    size = prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.__array_interface__["data"][0] % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
