"""What kernels with a sliding window share: which rows and columns of the map each output reads.

Nothing is copied into a padded map. Rows outside are cut off by the bounds of the loop over the window's rows; columns
outside are left out of the strips at the edges, which are built apart from those between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mnetdsl.backends.iree.kernels.language import Position, greatest, least, loop, minus


@dataclass(frozen=True)
class Window:
    """A window of `kernel` sliding over a map of `size`, both height and width; `padding` as in the IR."""

    size: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]

    @staticmethod
    def of(shape: Sequence[int], filter: Sequence[int], strides: Sequence[int], padding: Sequence[int]) -> Window:
        """From the IR: a map [N, H, W, C], a filter [KH, KW, …]."""
        _, height, width, _ = shape
        top, bottom, left, right = padding
        return Window((height, width), (filter[0], filter[1]), (strides[0], strides[1]), (top, bottom, left, right))

    @property
    def outputs(self) -> tuple[int, int]:
        top, bottom, left, right = self.padding
        return (
            (self.size[0] + top + bottom - self.kernel[0]) // self.strides[0] + 1,
            (self.size[1] + left + right - self.kernel[1]) // self.strides[1] + 1,
        )

    def rows(self, y: Position) -> tuple[Position, Position, Position]:
        """For output row `y`: the window's rows [low, high) inside the map, and the map's row under the window's first,
        which may lie above the map."""
        top, bottom = self.padding[:2]
        first = y * self.strides[0] - top
        lowest = (self.outputs[0] - 1) * self.strides[0] - top + self.kernel[0]
        low = greatest(minus(0, first), 0) if top else 0
        high = least(minus(self.size[0], first), self.kernel[0]) if bottom and lowest > self.size[0] else self.kernel[0]
        return low, high, first

    def column(self, x: Position, column: int) -> Position | None:
        """The map's column under column `column` of the window of output `x`; None where it is outside.

        An `x` known only at run time comes from a strip between the edges (`strips`), where all columns are inside.
        """
        at = x * self.strides[1] + (column - self.padding[2])
        return None if isinstance(at, int) and not 0 <= at < self.size[1] else at

    @contextmanager
    def strip(self, start: int, end: int, size: int) -> Iterator[Position]:
        """One of `strips`."""
        with loop(start, end, size) as x:
            yield x

    def strips(self, size: int) -> list[tuple[int, int, int]]:
        """The columns of an output row in strips of `size`: (first, end, size) of runs that share their code.

        Strips whose windows are inside make one run; the others stand alone, as does the narrower last one.
        """
        columns = self.outputs[1]
        runs: list[tuple[int, int, int]] = []
        inside_before = False
        for x in range(0, columns, size):
            width = min(size, columns - x)
            inside = (
                width == size
                and x * self.strides[1] >= self.padding[2]
                and (x + size - 1) * self.strides[1] - self.padding[2] + self.kernel[1] <= self.size[1]
            )
            if inside and inside_before:
                runs[-1] = (runs[-1][0], x + size, size)
            else:
                runs.append((x, x + width, width))
            inside_before = inside
        return runs
