"""Kernels on bytes that take a map in one pass, lanes being channels: its mean, products with gates, tables."""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler.dialects import arith, vector

from mnetdsl.backends.iree.kernels.bfloat import intrinsic
from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least, loop
from mnetdsl.backends.iree.quantized.kernels.bytes import splat, vector_of, widened
from mnetdsl.backends.iree.quantized.kernels.finish import Finish
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish

TABLE = 256
LANES = 16
"""`size` is a multiple of it."""
WIDE = 64
"""Bytes of the widest vector."""


@dataclass(frozen=True)
class ByteMean:
    """The mean over all pixels. input [pixels, C], table of `finish`, output [C]; `zero` is the input's zero point."""

    pixels: int
    channels: int
    lanes: int
    zero: int
    finish: Finish | FloatFinish

    @property
    def name(self) -> str:
        return f"bytes_mean_{self.pixels}x{self.channels}"

    @property
    def grid(self) -> Grid:
        return share(self.channels // self.lanes, 4), 1

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

    @property
    def name(self) -> str:
        return f"bytes_{'channel_' if self.per_channel else ''}product_{self.pixels}x{self.channels}"

    @property
    def grid(self) -> Grid:
        return share(self.pixels, 4), 1

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


@dataclass(frozen=True)
class ByteTable:
    """Entries of a table [256] by unsigned bytes, 64 at a time from registers. input, output [size]"""

    size: int

    @property
    def name(self) -> str:
        return f"bytes_table_{self.size}"

    @property
    def grid(self) -> Grid:
        return share(-(-self.size // WIDE), 4), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, "i8"), Buffer(TABLE, "i8"))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, "i8"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, table, target = memories
        parts = [table.vector(place, WIDE) for place in range(0, TABLE, WIDE)]
        whole = self.size // WIDE
        each = -(-whole // self.grid[0]) * WIDE
        start = group[0] * each
        if whole:
            with loop(start, least(start + each, whole * WIDE), WIDE) as at:
                target.store(_entries(source.vector(at, WIDE), parts), at)
        rest = self.size - whole * WIDE
        for at in range(self.size - rest, self.size, LANES):
            # Every workgroup stores the same bytes there.
            type = vector_of(LANES, 8)
            repeated = vector.ShuffleOp(*[source.vector(at, LANES)] * 2, [i % LANES for i in range(WIDE)]).result
            found = _entries(repeated, parts)
            kept = vector.ExtractStridedSliceOp(type, found, [0], [LANES], [1]).result
            target.store(kept, at)


def _entries(bytes: MlirValue, parts: list[MlirValue]) -> MlirValue:
    """By the lower seven bits from each half of the table; the highest chooses between both."""
    type = bytes.type
    halves = []
    for low, high in ((parts[0], parts[1]), (parts[2], parts[3])):
        (found,) = intrinsic("llvm.x86.avx512.vpermi2var.qi.512", [low, bytes, high], type)
        halves.append(found)
    upper = arith.cmpi(arith.CmpIPredicate.slt, bytes, splat(0, type))
    return arith.select(upper, halves[1], halves[0])
