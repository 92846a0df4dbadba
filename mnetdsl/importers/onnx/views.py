"""How a tensor of the file lies in a value of the language.

A value has its axes in the language's order, channels last. A tensor of the file lists the same axes in its own order,
and may have several of them joined in one dimension. TRANSPOSE, Reshape and Flatten of the file mostly change this
list alone; where an operation needs another order of the numbers, it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from mnetdsl.ir.types import Shape

CHANNELS_LAST = (2, 3, 1)
"""Dimensions of a file's [N, C, H, W] in the order of the language, the batch not counted."""


@dataclass(frozen=True)
class View:
    """A tensor of the file: dimension k is made of axes `dims[k]` of `value`, the first varying slowest.

    Axes of size 1 are never listed: a dimension of size 1 has none. `shape` is that of the value.
    """

    value: int
    shape: Shape
    dims: tuple[tuple[int, ...], ...]

    @property
    def sizes(self) -> Shape:
        """The shape in the file."""
        return tuple(prod(self.shape[axis] for axis in dim) for dim in self.dims)

    @property
    def rank(self) -> int:
        return len(self.dims)

    def of(self, value: int) -> View:
        """The same list of axes on another value of this shape."""
        return View(value, self.shape, self.dims)

    def transposed(self, order: Sequence[int]) -> View:
        return View(self.value, self.shape, tuple(self.dims[place] for place in order))

    def regrouped(self, sizes: Sequence[int]) -> View | None:
        """The same numbers in the same order under other `sizes`; None where an axis would be split."""
        axes = [axis for dim in self.dims for axis in dim]
        dims: list[tuple[int, ...]] = []
        for size in sizes:
            dim: list[int] = []
            while prod(self.shape[axis] for axis in dim) < size and axes:
                dim.append(axes.pop(0))
            if prod(self.shape[axis] for axis in dim) != size:
                return None
            dims.append(tuple(dim))
        return None if axes else View(self.value, self.shape, tuple(dims))


def whole(value: int, shape: Shape, order: Sequence[int]) -> View:
    """The tensor whose dimension k is axis `order[k]` of a value of that shape."""
    return View(value, shape, tuple((axis,) if shape[axis] > 1 else () for axis in order))


def flat_axes(view: View, order: Sequence[int]) -> list[int]:
    """Axes of the value as dimensions `order` list them."""
    return [axis for place in order for axis in view.dims[place]]


def ascending(axes: Sequence[int]) -> bool:
    return list(axes) == sorted(axes)


def natural_order(view: View) -> tuple[int, ...]:
    """Dimensions of the file, without the first, in an order in which the value holds them already, if there is one.

    Of several such orders that of a map with channels last is taken.
    """
    every = tuple(range(1, view.rank))
    wanted = (CHANNELS_LAST, every) if view.rank == 4 else (every,)
    for order in wanted:
        if ascending(flat_axes(view, order)):
            return order
    return tuple(sorted(every, key=lambda place: view.dims[place] or (0,)))


def permutation(view: View, order: Sequence[int]) -> tuple[int, ...]:
    """Axes of the value, without the batch, as dimensions `order` list them; axes of size 1 fill dimensions that have
    none, the rest stands at the end."""
    ones = [axis for axis in range(1, len(view.shape)) if view.shape[axis] == 1]
    found: list[int] = []
    for place in order:
        if view.dims[place]:
            found += view.dims[place]
        elif ones:
            found.append(ones.pop(0))
    return (*found, *ones)
