"""Pointwise convolution and dense layers on scalar invocations.

    output[m, n] = activation(sum over k of input[m, k] * weights[k, n] + bias[n]) + residual[m, n]

input [M, K], weights [K, N], bias [N], residual and output [M, N]; K and N are multiples of 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid, Simt
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least
from mnetdsl.backends.iree.kernels.simt.language import (
    THREADS,
    barrier,
    elements,
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
class _Product(Simt):
    """What both ways to compute it share; `KIND` stands in the name."""

    KIND: ClassVar[str]
    rows: int
    depth: int
    channels: int
    activation: str = "none"
    residual: bool = False

    @property
    def name(self) -> str:
        suffix = "_add" if self.residual else ""
        return f"simt_{self.KIND}_{self.rows}x{self.depth}x{self.channels}_{self.activation}{suffix}"

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        sizes = (self.rows * self.depth, self.depth * self.channels, self.channels)
        return (*map(Buffer, sizes), *(self.outputs if self.residual else ()))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.channels),)


@dataclass(frozen=True)
class SimtPointwise(_Product):
    """A workgroup makes 32 x 32 outputs, through tiles of both operands in shared memory."""

    KIND: ClassVar[str] = "pointwise"

    @property
    def grid(self) -> Grid:
        """Workgroups along channels and rows."""
        return self.channels // TILE, -(-self.rows // TILE)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        left, right = shared(TILE * DEPTH), shared(DEPTH * TILE)
        me = thread()
        down, across = me // ACROSS, me % ACROSS
        row, channel = group[1] * TILE, group[0] * TILE

        def bring(k: Position) -> None:
            """The next tiles, rows behind the last one being the last one again."""
            for index in range(TILE * DEPTH // THREADS):
                at = me + index * THREADS
                pixel = least(row + at // DEPTH, self.rows - 1)
                left.store_scalar(source.scalar(pixel * self.depth + (k + at % DEPTH)), at)
                right.store_scalar(weights.scalar((k + at // TILE) * self.channels + (channel + at % TILE)), at)

        def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            rows = [left.scalar((down * OWN + i) * DEPTH + k) for i in range(OWN)]
            columns = [right.scalar(k * TILE + (across * OWN + j)) for j in range(OWN)]
            return [multiplied_and_added(rows[i // OWN], columns[i % OWN], sum) for i, sum in enumerate(sums)]

        def tile(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            bring(k)
            barrier()
            sums = accumulate(0, DEPTH, sums, step)
            barrier()
            return sums

        initial = [bias.scalar(channel + (across * OWN + j)) for j in range(OWN)] * OWN
        sums = accumulate(0, self.depth, initial, tile, DEPTH)
        for i in range(OWN):
            pixel = row + (down * OWN + i)
            with where_below(pixel, self.rows):
                for j in range(OWN):
                    at = pixel * self.channels + (channel + (across * OWN + j))
                    result = activate(sums[i * OWN + j], self.activation)
                    if others:
                        result = arith.addf(result, others[0].scalar(at))
                    target.store_scalar(result, at)


@dataclass(frozen=True)
class SimtRows(_Product):
    """The same for few rows: an invocation an output."""

    KIND: ClassVar[str] = "rows"

    @property
    def grid(self) -> Grid:
        return elements_grid(self.rows * self.channels)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        with elements(group, self.rows * self.channels) as at:
            pixel, channel = at // self.channels, at % self.channels

            def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
                factor, weight = source.scalar(pixel * self.depth + k), weights.scalar(k * self.channels + channel)
                return [multiplied_and_added(factor, weight, sums[0])]

            (sum,) = accumulate(0, self.depth, [bias.scalar(channel)], step)
            result = activate(sum, self.activation)
            if others:
                result = arith.addf(result, others[0].scalar(at))
            target.store_scalar(result, at)
