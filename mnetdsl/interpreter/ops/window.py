"""Which pixels each tap of a sliding window reads (no operation of its own)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A window that slides along one axis: sizes of map, kernel and result; padding in front of the map."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    output: int

    def tap(self, index: int, start: int, stop: int) -> tuple[slice, slice] | None:
        """Of output positions `start` to `stop`, those whose tap `index` lies inside the map, counted from `start`,
        and the map's positions that it reads there; None where it reads padding only."""
        shift = index * self.dilation - self.before
        first = max(start, -(shift // self.stride))
        last = min(stop, (self.size - 1 - shift) // self.stride + 1)
        if first >= last:
            return None
        read = first * self.stride + shift
        return (
            slice(first - start, last - start),
            slice(read, read + (last - first - 1) * self.stride + 1, self.stride),
        )


@dataclass(frozen=True)
class Tap:
    """Kernel position (`row`, `column`): result pixels `target_rows` x `target_columns` read
    map pixels `source_rows` x `source_columns`; padding is left out."""

    row: int
    column: int
    target_rows: slice
    target_columns: slice
    source_rows: slice
    source_columns: slice


def taps(rows: Axis, columns: Axis, start: int, stop: int) -> Iterator[Tap]:
    """The taps of the result's rows `start` to `stop`, whose first is row 0 of the targets."""
    for row in range(rows.kernel):
        vertical = rows.tap(row, start, stop)
        if vertical is None:
            continue
        for column in range(columns.kernel):
            horizontal = columns.tap(column, 0, columns.output)
            if horizontal is not None:
                yield Tap(row, column, vertical[0], horizontal[0], vertical[1], horizontal[1])


def axes(
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    padding: tuple[int, ...],
    output: tuple[int, ...],
) -> tuple[Axis, Axis]:
    """Height and width of a window over a map; all pairs are (height, width), padding is [top, bottom, left, right]."""
    top, _, left, _ = padding
    return (
        Axis(sizes[0], kernel[0], strides[0], dilations[0], top, output[0]),
        Axis(sizes[1], kernel[1], strides[1], dilations[1], left, output[1]),
    )
