"""Elementwise operations whose operands spread sizes of 1 in any way, and batch normalization by itself."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.channels import COMBINATIONS
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, Position, least, loop
from mnetdsl.backends.iree.kernels.moves import place, rows


@dataclass(frozen=True)
class Spread:
    """activation(left op right).

    sizes: of the output. strides: of left and of right along each axis, 0 where one is spread; the last is 1 or 0.
    held: elements of left and of right. What pads a row is computed as well.
    """

    operation: str
    sizes: tuple[int, ...]
    strides: tuple[tuple[int, ...], tuple[int, ...]]
    held: tuple[int, int]
    pitch: int
    lanes: int
    activation: str

    @property
    def name(self) -> str:
        return f"spread_{self.operation}_{'x'.join(map(str, self.sizes))}_{self.activation}"

    @property
    def grid(self) -> Grid:
        """Workgroups along the first axis."""
        return (share(self.sizes[0], 4) if len(self.sizes) > 1 else 1), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return tuple(map(Buffer, self.held))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(prod(self.sizes[:-1]) * self.pitch),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        *sources, target = memories
        combine = COMBINATIONS[self.operation]
        with rows(group[0], self.grid[0], self.sizes[:-1]) as (row, at):
            lines = [
                source.from_(place(at, strides[:-1])) for source, strides in zip(sources, self.strides, strict=True)
            ]
            with loop(0, self.pitch, self.lanes) as channel:
                operands = [
                    line.vector(channel, self.lanes) if strides[-1] else line.spread(0, self.lanes)
                    for line, strides in zip(lines, self.strides, strict=True)
                ]
                value = activate(combine(*operands), self.activation)
                target.store(value, row * self.pitch + channel)


@dataclass(frozen=True)
class BatchNorm:
    """(x - mean) * gain + offset.  input, output [pixels, C], mean, gain, offset [C]; C is a multiple of the lanes."""

    pixels: int
    channels: int
    lanes: int

    @property
    def name(self) -> str:
        return f"batch_norm_{self.pixels}x{self.channels}"

    @property
    def grid(self) -> Grid:
        return share(self.pixels, 4), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (*self.outputs, *[Buffer(self.channels)] * 3)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.pixels * self.channels),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, *parameters, target = memories
        pixels = -(-self.pixels // self.grid[0])
        first = group[0] * pixels
        with (
            loop(first, least(first + pixels, self.pixels)) as pixel,
            loop(0, self.channels, self.lanes) as channel,
        ):
            at = pixel * self.channels + channel
            mean, gain, offset = (each.vector(channel, self.lanes) for each in parameters)
            scaled = arith.mulf(arith.subf(source.vector(at, self.lanes), mean), gain)
            target.store(arith.addf(scaled, offset), at)
