"""How close the output of a kernel may lie to an input that it is still reading.

A kernel sweeps its output in units (a pixel, say). Unit u reads input bytes [read_begin[u], read_end[u]) and writes
output bytes [u*unit, (u+1)*unit), of which the last `tail` bytes only after its last read.

Sweeping forward with the output at address o and the input at i, unit u may write only what no later read needs:

    o + (u+1)*unit - tail <= i + min(read_begin[v], v >= u)        while u still reads
    o + (u+1)*unit        <= i + min(read_begin[v], v >  u)        once u has read

so i - o must reach the largest difference of the two sides, and any larger distance is safe as well. Sweeping
backward, from the last unit to the first, mirrors it: o - i must reach max(read_end[v], v <= u) - u*unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
_NEVER = np.iinfo(np.int64).max // 4


@dataclass(frozen=True, eq=False)
class Sweep:
    """Reads and writes of one kernel on one of its inputs; all in bytes.

    A unit that reads nothing (it lies in the padding) has read_end <= read_begin.
    """

    unit: int
    tail: int
    read_begin: Positions
    read_end: Positions

    def forward(self) -> int:
        """Least safe (input address - output address) of a forward sweep, at least 0."""
        reads = self.read_end > self.read_begin
        begin = np.where(reads, self.read_begin, _NEVER)
        needed = np.minimum.accumulate(begin[::-1])[::-1]
        written = np.arange(1, len(begin) + 1, dtype=np.int64) * self.unit
        distance = int(np.max(written - self.tail - needed))
        if len(begin) > 1:
            distance = max(distance, int(np.max(written[:-1] - needed[1:])))
        return max(0, distance)

    def backward(self) -> int:
        """Least safe (output address - input address) of a backward sweep, at least 0."""
        reads = self.read_end > self.read_begin
        needed = np.maximum.accumulate(np.where(reads, self.read_end, -_NEVER))
        written = np.arange(len(needed), dtype=np.int64) * self.unit
        return max(0, int(np.max(needed - written)))


def pixel_sweep(pixels: int, input_bytes: int, output_bytes: int, tail: int) -> Sweep:
    """Output pixel u reads input pixel u and no other (pointwise convolution)."""
    begin = np.arange(pixels, dtype=np.int64) * input_bytes
    return Sweep(output_bytes, tail, begin, begin + input_bytes)


@dataclass(frozen=True)
class Axis:
    """A window sliding along one axis: position p covers p*stride - before + k*dilation for k < kernel."""

    size: int
    positions: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0

    def reach(self) -> tuple[Positions, Positions]:
        """First and last index inside the map that each position reads; last < first where it reads none."""
        taps = (
            np.arange(self.positions, dtype=np.int64)[:, None] * self.stride
            - self.before
            + np.arange(self.kernel, dtype=np.int64)[None, :] * self.dilation
        )
        inside = (taps >= 0) & (taps < self.size)
        return np.where(inside, taps, _NEVER).min(axis=1), np.where(inside, taps, -1).max(axis=1)


def window_sweep(rows: Axis, columns: Axis, input_bytes: int, output_bytes: int, tail: int) -> Sweep:
    """Output pixels row by row, each reading a window of input pixels of `input_bytes`."""
    first_row, last_row = rows.reach()
    first_column, last_column = columns.reach()
    reads = (last_row >= first_row)[:, None] & (last_column >= first_column)[None, :]
    first = np.where(first_row < _NEVER, first_row, 0)[:, None] * columns.size
    first = first + np.where(first_column < _NEVER, first_column, 0)[None, :]
    last = last_row[:, None] * columns.size + last_column[None, :] + 1
    begin = np.where(reads, first, 0).reshape(-1) * input_bytes
    end = np.where(reads, last, 0).reshape(-1) * input_bytes
    return Sweep(output_bytes, tail, begin, end)
