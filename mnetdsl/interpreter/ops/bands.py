"""Work in bands of rows, small enough that a band's result is still in the cache when the epilogue reads it."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from mnetdsl.interpreter.frame import Array

ALIGNMENT = 64
"""Bytes of a cache line. NumPy aligns to 16; stores that straddle two lines take twice as long."""


def bands(rows: int, row_elements: int, band_elements: int) -> Iterator[tuple[int, int]]:
    """Splits `rows` into bands `start, stop` of at most `band_elements` elements, but at least one row."""
    step = max(1, band_elements // row_elements)
    for start in range(0, rows, step):
        yield start, min(rows, start + step)


def row_bias(bias: Array | None, width: int) -> Array | None:
    """[C] repeated for each pixel of a row: [width * C]. Long rows add faster than many short runs of channels."""
    return None if bias is None else np.tile(bias, width)


def aligned_empty(*shape: int) -> Array:
    """A float32 array of undefined content that starts on a cache line."""
    size = prod(shape) * 4
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(shape)
