"""One kernel call of a layer, and the turns of loops that kernels of any core have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mnetdsl.backends.c.ops.window import Window
from mnetdsl.cost.instructions import Work
from mnetdsl.ir.core import Op
from mnetdsl.plan.sweep import Axis


@dataclass(frozen=True)
class Site:
    """op: of the layer, None where it copies a value to an output. tables: constant structs of sizes by C text."""

    op: Op | None
    function: str
    arguments: tuple[str, ...]
    tables: Mapping[str, tuple[str, ...]]

    def numbers(self, first: int, last: int) -> tuple[int, ...]:
        """Arguments [first, last), which are literals."""
        return tuple(int(argument) for argument in self.arguments[first:last])

    def table(self, index: int) -> tuple[int, ...]:
        """The struct that an argument points to."""
        return tuple(int(value) for value in self.tables[self.arguments[index]])


def taken(axis: Axis) -> Iterator[int]:
    """Of each position of a window along an axis, how many of its taps lie in the map."""
    for position in range(axis.positions):
        start = position * axis.stride - axis.before
        yield sum(0 <= start + tap * axis.dilation < axis.size for tap in range(axis.kernel))


@dataclass(frozen=True)
class Taps:
    """Of all positions of a window.

    pixels: positions. inside: those with all taps in the map. taps: in the map, of all pixels. lines: kernel rows that
    have a tap in it, of all pixels.
    """

    pixels: int
    inside: int
    taps: int
    lines: int

    @property
    def border(self) -> int:
        return self.pixels - self.inside


def taps_of(window: Window) -> Taps:
    rows, columns = list(taken(window.rows)), list(taken(window.columns))
    whole_rows = sum(count == window.kernel[0] for count in rows)
    whole_columns = sum(count == window.kernel[1] for count in columns)
    return Taps(
        pixels=len(rows) * len(columns),
        inside=whole_rows * whole_columns,
        taps=sum(rows) * sum(columns),
        lines=sum(rows) * sum(count > 0 for count in columns),
    )


def by_elements(site: Site) -> tuple[Work, ...]:
    """Kernels without a rule, by what they write."""
    elements = 0 if site.op is None else site.op.type.elements
    channels = 0 if site.op is None else site.op.type.shape[-1]
    return (Work((site.function,), (elements, channels, 1)),)
