"""Kernels on bytes that take a map in one pass, lanes being channels: its mean, products with gates."""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least, loop
from mnetdsl.backends.iree.quantized.kernels.bytes import splat, vector_of, widened
from mnetdsl.backends.iree.quantized.kernels.finish import Finish
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish


@dataclass(frozen=True)
class ByteMean:
    """The mean over all pixels. input [pixels, C], table of `finish`, output [C]; `zero` is the input's zero point."""

    pixels: int
    channels: int
    lanes: int
    zero: int
    finish: Finish | FloatFinish
    workgroups: int = 4

    @property
    def name(self) -> str:
        return f"bytes_mean_{self.pixels}x{self.channels}"

    @property
    def grid(self) -> Grid:
        return share(self.channels // self.lanes, self.workgroups), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.pixels * self.channels, "i8"), self.finish.buffer(self.lanes))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.channels, "i8"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, table, target = memories
        width = -(-(self.channels // self.lanes) // self.grid[0]) * self.lanes
        first = group[0] * width
        with loop(first, least(first + width, self.channels), self.lanes) as channel:

            def step(pixel: Position, sums: list[MlirValue], channel: Position = channel) -> list[MlirValue]:
                bytes = source.vector(pixel * self.channels + channel, self.lanes)
                return [arith.addi(sums[0], widened(bytes))]

            initial = splat(-self.zero * self.pixels, vector_of(self.lanes, 32))
            (total,) = accumulate(0, self.pixels, [initial], step)
            target.store(self.finish.bytes(total, self.finish.load(table, 0, self.lanes)), channel)


@dataclass(frozen=True)
class ByteProduct:
    """(left - zero) * (right - other zero). left [pixels, C], right [pixels, C] or, `per_channel`, [C], table of
    `finish`, output [pixels, C]"""

    pixels: int
    channels: int
    lanes: int
    per_channel: bool
    zeros: tuple[int, int]
    finish: Finish | FloatFinish
    workgroups: int = 4

    @property
    def name(self) -> str:
        return f"bytes_{'channel_' if self.per_channel else ''}product_{self.pixels}x{self.channels}"

    @property
    def grid(self) -> Grid:
        return share(self.pixels, self.workgroups), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        size = self.pixels * self.channels
        right = self.channels if self.per_channel else size
        return (Buffer(size, "i8"), Buffer(right, "i8"), self.finish.buffer(self.lanes))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.pixels * self.channels, "i8"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        left, right, table, target = memories
        pixels = -(-self.pixels // self.grid[0])
        first = group[0] * pixels
        loaded = self.finish.load(table, 0, self.lanes)
        with (
            loop(0, self.channels, self.lanes) as channel,
            loop(first, least(first + pixels, self.pixels)) as pixel,
        ):
            at = pixel * self.channels + channel
            steps = [
                arith.subi(widened(memory.vector(place, self.lanes)), splat(zero, vector_of(self.lanes, 32)))
                for memory, place, zero in (
                    (left, at, self.zeros[0]),
                    (right, channel if self.per_channel else at, self.zeros[1]),
                )
            ]
            target.store(self.finish.bytes(arith.muli(*steps), loaded), at)
