"""Kernels that move elements without computing: concat, pad, and a gather along any strides.

A row is what lies along the last axis, `pitch` elements in memory; what pads a row of an output is written, as 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, Position, filled, least, loop, vector_type

UNROLLED = 8
"""Vectors of a row that are copied one behind the other instead of in a loop."""


def copy(source: Memory, target: Memory, count: int, lanes: int) -> None:
    """`count` elements, and none beside them is touched."""
    whole, rest = count // lanes * lanes, count % lanes
    if whole <= UNROLLED * lanes:
        for at in range(0, whole, lanes):
            target.store(source.vector(at, lanes), at)
    else:
        with loop(0, whole, lanes) as each:
            target.store(source.vector(each, lanes), each)
    if rest:
        target.store_some(source.some(whole, rest, lanes, filled(0.0, vector_type(lanes))), whole, rest)


def clear(target: Memory, channels: int, pitch: int, lanes: int) -> None:
    """0 in all vectors that hold what pads a row, and in the channels beside it; nothing where nothing pads it."""
    for at in range(channels // lanes * lanes, pitch, lanes) if channels < pitch else ():
        target.store(filled(0.0, vector_type(lanes)), at)


@contextmanager
def rows(group: Position, groups: int, sizes: Sequence[int]) -> Iterator[tuple[Position, list[Position]]]:
    """The rows of a tensor whose axes but the last have `sizes`, those of one of `groups` workgroups along the first:
    each row's number, and where it lies on each axis."""
    with ExitStack() as stack:
        at: list[Position] = []
        for axis, size in enumerate(sizes):
            share = -(-size // groups) if axis == 0 else size
            low = group * share if axis == 0 else 0
            at.append(stack.enter_context(loop(low, least(low + share, size))))
        yield place(at, [prod(sizes[axis + 1 :]) for axis in range(len(sizes))]), at


def place(at: Sequence[Position], strides: Sequence[int]) -> Position:
    """Elements from the first one."""
    total: Position = 0
    for position, stride in zip(at, strides, strict=True):
        if stride:
            total = position * stride + total
    return total


@dataclass(frozen=True)
class Concat:
    """`blocks` times, one block of each input behind the other.

    parts: elements of each input's block that are copied, and elements from block to block of it. A block of the output
    has `pitch` elements.
    """

    blocks: int
    parts: tuple[tuple[int, int], ...]
    pitch: int
    lanes: int

    @property
    def name(self) -> str:
        return f"concat_{self.blocks}x{self.pitch}"

    @property
    def grid(self) -> Grid:
        return share(self.blocks, 4), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return tuple(Buffer(self.blocks * stored) for _, stored in self.parts)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.blocks * self.pitch),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        *sources, target = memories
        blocks = -(-self.blocks // self.grid[0])
        first = group[0] * blocks
        with loop(first, least(first + blocks, self.blocks)) as block:
            out = target.from_(block * self.pitch)
            joined = sum(count for count, _ in self.parts)
            clear(out, joined, self.pitch, self.lanes)
            start = 0
            for source, (count, stored) in zip(sources, self.parts, strict=True):
                copy(source.from_(block * stored), out.from_(start), count, self.lanes)
                start += count


@dataclass(frozen=True)
class Pad:
    """A border of `value` around a map [H, W, C]; `padding` as in the IR."""

    size: tuple[int, int]
    padding: tuple[int, int, int, int]
    pitch: int
    lanes: int
    value: float

    @property
    def name(self) -> str:
        return f"pad_{self.size[0]}x{self.size[1]}x{self.pitch}"

    @property
    def grid(self) -> Grid:
        return 1, 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(prod(self.size) * self.pitch),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        (height, width), (top, bottom, left, right) = self.size, self.padding
        return (Buffer((top + height + bottom) * (left + width + right) * self.pitch),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        (height, width), (top, bottom, left, right) = self.size, self.padding
        columns = left + width + right
        self._fill(target, 0, top * columns)
        with loop(0, height) as y:
            line = target.from_((y + top) * (columns * self.pitch))
            self._fill(line, 0, left)
            row = width * self.pitch
            copy(source.from_(y * row), line.from_(left * self.pitch), row, self.lanes)
            self._fill(line, left + width, right)
        self._fill(target, (top + height) * columns, bottom * columns)

    def _fill(self, target: Memory, pixel: int, pixels: int) -> None:
        start = pixel * self.pitch
        if pixels:
            with loop(start, start + pixels * self.pitch, self.lanes) as at:
                target.store(filled(self.value, vector_type(self.lanes)), at)


@dataclass(frozen=True)
class Gather:
    """output[i, j, …, c] = input[base + i * strides[0] + j * strides[1] + … + c * strides[-1]].

    sizes: of the output; `held`, elements of the input.
    """

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    base: int
    held: int
    pitch: int
    lanes: int

    @property
    def name(self) -> str:
        return f"gather_{'x'.join(map(str, self.sizes))}"

    @property
    def grid(self) -> Grid:
        """Workgroups along the first axis."""
        return (share(self.sizes[0], 4) if len(self.sizes) > 1 else 1), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.held),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(prod(self.sizes[:-1]) * self.pitch),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        *axes, (channels, stride) = zip(self.sizes, self.strides, strict=True)
        with rows(group[0], self.grid[0], self.sizes[:-1]) as (row, at):
            out = target.from_(row * self.pitch)
            line = source.from_(place(at, [stride for _, stride in axes]) + self.base)
            clear(out, channels, self.pitch, self.lanes)
            if stride == 1:
                copy(line, out, channels, self.lanes)
            else:
                with loop(0, channels) as channel:
                    out.store_scalar(line.scalar(channel * stride), channel)
