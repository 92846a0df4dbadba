"""A map of bytes inside a larger one, whose border windows may read."""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, Position, greatest, least, loop
from mnetdsl.backends.iree.quantized.kernels.bytes import splat, vector_of

WIDE = 64
"""Bytes that are copied at once where a row has so many."""


@dataclass(frozen=True)
class ByteFrame:
    """input [height, width, C], `row` bytes each; output [top + height + bottom, left + row + right] bytes, of which
    those around the map are `border`. `flip` brings signed bytes to unsigned ones, or back."""

    height: int
    row: int
    margins: tuple[int, int, int, int]
    border: int
    flip: bool = False

    @property
    def name(self) -> str:
        return f"bytes_frame_{self.height}x{self.row}"

    @property
    def grid(self) -> Grid:
        return share(self._rows, 4), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.height * self.row, "i8"),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self._rows * self._pitch, "i8"),)

    @property
    def _rows(self) -> int:
        top, bottom = self.margins[:2]
        return top + self.height + bottom

    @property
    def _pitch(self) -> int:
        left, right = self.margins[2:]
        return left + self.row + right

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        each = -(-self._rows // self.grid[0])
        self.emit_rows(group[0] * each, least(group[0] * each + each, self._rows), *memories)

    def emit_rows(self, low: Position, high: Position, *memories: Memory) -> None:
        """The rows from `low` to below `high`; memories begin with row 0 of their maps, whether it is there or not."""
        source, target = memories
        top, _, left, right = self.margins
        inside = greatest(low, top), least(high, top + self.height)
        for first, last in ((low, least(high, top)), (greatest(low, top + self.height), high)):
            if first != last:
                with loop(first, last) as y:
                    self._fill(target, y * self._pitch, self._pitch)
        with loop(*inside) as y:
            at = y * self._pitch
            self._fill(target, at, left)
            for start, end, size in pieces(self.row):
                with loop(start, end, size) as x:
                    bytes = source.vector((y - top) * self.row + x, size)
                    if self.flip:
                        bytes = arith.xori(bytes, splat(-128, bytes.type))
                    target.store(bytes, at + left + x)
            self._fill(target, at + left + self.row, right)

    def _fill(self, target: Memory, at: Position, size: int) -> None:
        value = self.border - 256 if self.border > 127 else self.border
        for start, end, step in pieces(size):
            with loop(start, end, step) as x:
                target.store(splat(value, vector_of(step, 8)), at + x)


def pieces(size: int) -> list[tuple[int, int, int]]:
    """How a row is copied: (start, end, bytes at once), the last piece over again from where it ends with the row."""
    if size >= WIDE:
        whole = size // WIDE * WIDE
        return [(0, whole, WIDE), *([(size - WIDE, size, WIDE)] if whole < size else [])]
    pieces, at = [], 0
    for step in (32, 16, 8, 4, 2, 1):
        if size - at >= step:
            pieces.append((at, at + step, step))
            at += step
    return pieces
