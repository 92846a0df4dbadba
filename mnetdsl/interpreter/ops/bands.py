"""Work in bands of rows, small enough that a band's result is still in the cache when the epilogue reads it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mnetdsl.interpreter.frame import Array


def bands(rows: int, row_elements: int, band_elements: int) -> Iterator[tuple[int, int]]:
    """Splits `rows` into bands `start, stop` of at most `band_elements` elements, but at least one row."""
    step = max(1, band_elements // row_elements)
    for start in range(0, rows, step):
        yield start, min(rows, start + step)


def row_bias(bias: Array | None, width: int) -> Array | None:
    """[C] repeated for each pixel of a row: [width * C]. One long row adds faster than many short channels."""
    return None if bias is None else np.tile(bias, width)
