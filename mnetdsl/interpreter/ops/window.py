"""What sliding windows read (no operation of its own)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike

from mnetdsl.interpreter.frame import Array
from mnetdsl.interpreter.ops.bands import aligned_empty


class Windows:
    """The windows of bands of result rows, read from a padded copy of just the rows that a band needs.

    `size` is [H, W, C]; kernel, strides and dilations are (height, width), padding is [top, bottom, left, right];
    a band has at most `band_rows` result rows.
    """

    def __init__(
        self,
        size: tuple[int, ...],
        kernel: tuple[int, int],
        strides: tuple[int, ...],
        dilations: tuple[int, ...],
        padding: tuple[int, ...],
        band_rows: int,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.height, width, channels = size
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.top, _, left, right = padding
        self.padded = aligned_empty(self._rows_read(band_rows), left + width + right, channels, dtype=dtype)
        self.padded[:, :left] = 0.0
        self.padded[:, left + width :] = 0.0
        self.inside = self.padded[:, left : left + width]

    def _rows_read(self, rows: int) -> int:
        return (rows - 1) * self.strides[0] + (self.kernel[0] - 1) * self.dilations[0] + 1

    def of(self, image: Array, start: int, stop: int, columns: int, pixels: int = 1) -> Array:
        """[stop - start, columns, KH, KW, pixels * C]: what result pixels multiply, zeros in the padding.

        A column is `pixels` neighbours at once, more than one where the stride is 1. Valid until the next call.
        """
        self._read(image, start, stop)
        row, column, element = self.padded.strides
        return as_strided(
            self.padded,
            (stop - start, columns, *self.kernel, pixels * self.padded.shape[2]),
            (
                row * self.strides[0],
                column * self.strides[1] * pixels,
                row * self.dilations[0],
                column * self.dilations[1],
                element,
            ),
            writeable=False,
        )

    def gather(self, image: Array, start: int, stop: int, columns: int, matrix: Array) -> None:
        """Writes to `matrix`, contiguous [(stop - start) * columns, KH * KW * C], the pixels of each window."""
        channels = self.padded.shape[2]
        if self.dilations[1] != 1:
            matrix.reshape(stop - start, columns, *self.kernel, channels)[:] = self.of(image, start, stop, columns)
            return
        self._read(image, start, stop)
        row, column, _ = self.padded.strides
        # A row of the kernel is contiguous: NumPy copies it faster as one item than as a run of items.
        line = np.dtype((np.void, self.kernel[1] * column))
        shape = (stop - start, columns, self.kernel[0])
        strides = (row * self.strides[0], column * self.strides[1], row * self.dilations[0])
        matrix.view(line).reshape(shape)[:] = np.ndarray(shape, line, self.padded, 0, strides)

    def _read(self, image: Array, start: int, stop: int) -> None:
        """Copies the rows that result rows `start` to `stop` need."""
        first = start * self.strides[0] - self.top
        count = self._rows_read(stop - start)
        above = min(max(-first, 0), count)
        below = max(min(self.height - first, count), above)
        self.padded[:above] = 0.0
        self.inside[above:below] = image[first + above : first + below]
        self.padded[below:count] = 0.0


@dataclass(frozen=True)
class Axis:
    """A window that slides along one axis: sizes of map, kernel and result; padding in front of the map."""

    size: int
    kernel: int
    stride: int
    before: int
    output: int

    def taps(self) -> Iterator[tuple[slice, slice]]:
        """For each kernel position: the result positions where it lies inside the map, and what they read there."""
        for index in range(self.kernel):
            shift = index - self.before
            first = max(0, -(shift // self.stride))
            last = min(self.output, (self.size - 1 - shift) // self.stride + 1)
            if first < last:
                read = first * self.stride + shift
                yield slice(first, last), slice(read, read + (last - first - 1) * self.stride + 1, self.stride)
