"""Kernels that take a map in one pass, lanes being channels: global average pool and elementwise operations."""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.activation import activate, at_least, at_most
from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import FLOAT, Buffer, Elements, Grid
from mnetdsl.backends.iree.kernels.language import (
    Memory,
    MlirValue,
    Position,
    accumulate,
    filled,
    least,
    loop,
    vector_type,
)

CHAINS = 8
"""Independent sums: an addition waits four cycles for the one before it, and two start in a cycle."""


COMBINATIONS = {"add": arith.addf, "sub": arith.subf, "mul": arith.mulf}


@dataclass(frozen=True)
class GlobalPool:
    """The mean over all pixels. input [pixels, C], output [C]."""

    pixels: int
    channels: int
    lanes: int
    elements: Elements = FLOAT

    @property
    def name(self) -> str:
        return f"global_pool_{self.pixels}x{self.channels}"

    @property
    def grid(self) -> Grid:
        return share(self.channels // self.lanes), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.pixels * self.channels, self.elements.source),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.channels, self.elements.target),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        vectors = -(-(self.channels // self.lanes) // self.grid[0])
        first = group[0] * (vectors * self.lanes)
        chains = min(CHAINS, self.pixels)
        whole = self.pixels // chains * chains
        with loop(first, least(first + vectors * self.lanes, self.channels), self.lanes) as channel:

            def step(pixel: Position, sums: list[MlirValue], channel: Position = channel) -> list[MlirValue]:
                return [
                    arith.addf(sum, source.vector((pixel + i) * self.channels + channel, self.lanes))
                    for i, sum in enumerate(sums)
                ]

            sums = accumulate(0, whole, [filled(0.0, vector_type(self.lanes))] * chains, step, chains)
            rest = self.pixels - whole
            sums = [*step(whole, sums[:rest]), *sums[rest:]]
            while len(sums) > 1:
                pairs = [arith.addf(left, right) for left, right in zip(sums[::2], sums[1::2], strict=False)]
                sums = pairs + sums[len(pairs) * 2 :]
            mean = arith.divf(sums[0], filled(float(self.pixels), vector_type(self.lanes)))
            target.store(mean, channel)


@dataclass(frozen=True)
class Elementwise:
    """activation(left op right), `right` being a map of the same shape or one value a channel.

    left [pixels, C], right [pixels, C] or [C], output [pixels, C]; `elements.residual` is right's.
    """

    operation: str
    pixels: int
    channels: int
    lanes: int
    per_channel: bool
    activation: str = "none"
    elements: Elements = FLOAT

    @property
    def name(self) -> str:
        kind = "channel_" if self.per_channel else ""
        return f"{kind}{self.operation}_{self.pixels}x{self.channels}_{self.activation}"

    @property
    def grid(self) -> Grid:
        return share(self.pixels, 4), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        size = self.pixels * self.channels
        left, right = self.elements.source, self.elements.residual
        return (Buffer(size, left), Buffer(self.channels if self.per_channel else size, right))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.pixels * self.channels, self.elements.target),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        left, right, target = memories
        combine = COMBINATIONS[self.operation]
        pixels = -(-self.pixels // self.grid[0])
        first = group[0] * pixels
        with (
            loop(first, least(first + pixels, self.pixels)) as pixel,
            loop(0, self.channels, self.lanes) as channel,
        ):
            at = pixel * self.channels + channel
            other = right.vector(channel if self.per_channel else at, self.lanes)
            target.store(activate(combine(left.vector(at, self.lanes), other), self.activation), at)


@dataclass(frozen=True)
class Unary:
    """An activation by itself. input, output [size]; size is a multiple of the lanes."""

    operation: str
    size: int
    lanes: int
    elements: Elements = FLOAT

    @property
    def name(self) -> str:
        return f"{self.operation}_{self.size}"

    @property
    def grid(self) -> Grid:
        return share(self.size // self.lanes, 4), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, self.elements.source),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, self.elements.target),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        size = -(-(self.size // self.lanes) // self.grid[0]) * self.lanes
        first = group[0] * size
        with loop(first, least(first + size, self.size), self.lanes) as at:
            target.store(activate(source.vector(at, self.lanes), self.operation), at)


@dataclass(frozen=True)
class Clamp:
    """min(max(x, low), high). input, output [size]; size is a multiple of the lanes."""

    size: int
    lanes: int
    low: float
    high: float

    @property
    def name(self) -> str:
        return f"clamp_{self.size}"

    @property
    def grid(self) -> Grid:
        return share(self.size // self.lanes, 4), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return self.outputs

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        size = -(-(self.size // self.lanes) // self.grid[0]) * self.lanes
        first = group[0] * size
        with loop(first, least(first + size, self.size), self.lanes) as at:
            target.store(at_most(at_least(source.vector(at, self.lanes), self.low), self.high), at)
