"""Pointwise convolution and dense layers on scalar invocations.

    output[m, n] = activation(sum over k of input[m, k] * weights[k, n] + bias[n]) + residual[m, n]

input [M, K], weights [K, N], bias [N], residual and output [M, N]; K and N are multiples of 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.executables import Call, Given, Grid, Sized
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least
from mnetdsl.backends.iree.kernels.simt.language import (
    THREADS,
    barrier,
    each,
    elements_grid,
    multiplied_and_added,
    shared,
    thread,
    where_below,
)

TILE = 32
"""Rows and channels of a workgroup's outputs."""
DEPTH = 16
"""Of the tiles of both operands in shared memory: 4 KiB together, of the 16 KiB that every device has."""
OWN = 4
"""Rows and channels of an invocation's outputs."""
ACROSS = TILE // OWN
"""Invocations along the channels."""
FEW_ROWS = 8
"""Below, tiles would be mostly empty: each invocation has one output."""


@dataclass(frozen=True)
class FloatFilter(Sized):
    """Of layers with a filter: `KIND` stands in the name; inputs are map, weights, bias, and the residual if any."""

    OUTPUT: ClassVar[str] = "f32"
    KIND: ClassVar[str]
    activation: str = "none"
    residual: bool = False

    @property
    def variants(self) -> tuple[str, ...]:
        return (self.activation, *(["add"] if self.residual else []))

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("f32",) * (4 if self.residual else 3)


@dataclass(frozen=True)
class _Product(FloatFilter):
    NUMBERS: ClassVar[tuple[str, ...]] = ("rows", "depth", "channels")

    def call(self, rows: int, depth: int, channels: int) -> Call:
        numbers = {"rows": rows, "depth": depth, "channels": channels}
        return Call(self._grid(rows, channels), numbers, rows * channels)

    def _grid(self, rows: int, channels: int) -> Grid:
        raise NotImplementedError


@dataclass(frozen=True)
class SimtPointwise(_Product):
    """A workgroup makes 32 x 32 outputs, through tiles of both operands in shared memory."""

    KIND: ClassVar[str] = "simt_pointwise"

    def _grid(self, rows: int, channels: int) -> Grid:
        """Workgroups along channels and rows."""
        return channels // TILE, -(-rows // TILE)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        rows, depth, channels = given["rows"], given["depth"], given["channels"]
        left, right = shared(TILE * DEPTH), shared(DEPTH * TILE)
        me = thread()
        down, across = me // ACROSS, me % ACROSS
        row, channel = group[1] * TILE, group[0] * TILE

        def bring(k: Position) -> None:
            """The next tiles, rows behind the last one being the last one again."""
            for index in range(TILE * DEPTH // THREADS):
                at = me + index * THREADS
                pixel = least(row + at // DEPTH, rows - 1)
                left.store_scalar(source.scalar(pixel * depth + (k + at % DEPTH)), at)
                right.store_scalar(weights.scalar((k + at // TILE) * channels + (channel + at % TILE)), at)

        def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            factors = [left.scalar((down * OWN + i) * DEPTH + k) for i in range(OWN)]
            columns = [right.scalar(k * TILE + (across * OWN + j)) for j in range(OWN)]
            return [multiplied_and_added(factors[i // OWN], columns[i % OWN], sum) for i, sum in enumerate(sums)]

        def tile(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            bring(k)
            barrier()
            sums = accumulate(0, DEPTH, sums, step)
            barrier()
            return sums

        initial = [bias.scalar(channel + (across * OWN + j)) for j in range(OWN)] * OWN
        sums = accumulate(0, depth, initial, tile, DEPTH)
        for i in range(OWN):
            pixel = row + (down * OWN + i)
            with where_below(pixel, rows):
                for j in range(OWN):
                    at = pixel * channels + (channel + (across * OWN + j))
                    result = activate(sums[i * OWN + j], self.activation)
                    if others:
                        result = arith.addf(result, others[0].scalar(at))
                    target.store_scalar(result, at)


@dataclass(frozen=True)
class SimtRows(_Product):
    """The same for few rows: an invocation an output."""

    KIND: ClassVar[str] = "simt_rows"

    def _grid(self, rows: int, channels: int) -> Grid:
        return elements_grid(rows * channels)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        depth, channels = given["depth"], given["channels"]
        with each(group, given["rows"] * channels) as at:
            pixel, channel = at // channels, at % channels

            def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
                factor, weight = source.scalar(pixel * depth + k), weights.scalar(channels * k + channel)
                return [multiplied_and_added(factor, weight, sums[0])]

            (sum,) = accumulate(0, depth, [bias.scalar(channel)], step)
            result = activate(sum, self.activation)
            if others:
                result = arith.addf(result, others[0].scalar(at))
            target.store_scalar(result, at)
