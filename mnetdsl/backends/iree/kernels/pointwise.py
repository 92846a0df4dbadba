"""Pointwise convolution and dense layers: a product of matrices with its whole epilogue in registers.

    output[m, n] = activation(sum over k of input[m, k] * weights[k, n] + bias[n]) + residual[m, n]

input [M, pitch >= K], weights packed [panel][K][panel's channels], bias [N], residual, output [M, N]; N is a multiple
of the lanes. A block of rows times a panel of weights accumulates in registers along K, beginning with the bias.
"""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.blocking import WORKGROUPS, Block, parts, share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least, loop, multiply_add

MANY_ROWS = 784
"""From here on workgroups share rows, and one keeps its rows in cache while it walks all panels."""

PREFETCHED = 100_000
"""Weights from which the next panel is asked for while this one is used: fewer stay in the nearer caches anyway."""


@dataclass(frozen=True)
class Pointwise:
    rows: int
    depth: int
    channels: int
    pitch: int
    lanes: int
    block: Block
    activation: str = "none"
    residual: bool = False

    @property
    def name(self) -> str:
        return f"pointwise_{self.rows}x{self.depth}x{self.channels}_{self.activation}{'_add' if self.residual else ''}"

    @property
    def grid(self) -> Grid:
        """Workgroups along rows and panels."""
        tiles = -(-self.rows // self.block.rows)
        if self.rows >= MANY_ROWS:
            return share(tiles), 1
        columns = share(self._panels)
        return share(tiles, max(1, WORKGROUPS // columns)), columns

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        sizes = (self.rows * self.pitch, self.depth * self.channels, self.channels)
        return (*map(Buffer, sizes), *(self.outputs if self.residual else ()))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.channels),)

    @property
    def _panels(self) -> int:
        return -(-self.channels // (self.block.vectors * self.lanes))

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        tiles = -(-self.rows // self.block.rows)
        height = -(-tiles // self.grid[0]) * self.block.rows
        width = -(-self._panels // self.grid[1]) * self.block.vectors
        low, first = group[0] * height, group[1] * width
        high = least(low + height, self.rows)
        last = least(first + width, self.channels // self.lanes)
        row_parts = parts(low, high, self.block.rows, self.rows)
        column_parts = parts(first, last, self.block.vectors, self.channels // self.lanes)
        if self.rows >= MANY_ROWS:
            for rows, start, end in row_parts:
                with loop(start, end, rows) as row:
                    for vectors, left, right in column_parts:
                        with loop(left, right, vectors) as vector:
                            self._block(row, rows, vector, vectors, *memories)
        else:
            for vectors, left, right in column_parts:
                with loop(left, right, vectors) as vector:
                    for rows, start, end in row_parts:
                        with loop(start, end, rows) as row:
                            self._block(row, rows, vector, vectors, *memories)

    def _block(self, row: Position, rows: int, vector: Position, vectors: int, *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        lanes = self.lanes
        channel = vector * lanes
        panel, pixel = channel * self.depth, row * self.pitch
        ahead = self._ahead(row, channel)
        sums = [bias.vector(channel + j * lanes, lanes) for j in range(vectors)] * rows

        def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            if ahead is not None:
                weights.prefetch(ahead + k * lanes)
            at = panel + k * (vectors * lanes)
            taps = [weights.vector(at + j * lanes, lanes) for j in range(vectors)]
            factors = [source.spread(pixel + k + r * self.pitch, lanes) for r in range(rows)]
            return [multiply_add(factors[i // vectors], taps[i % vectors], sum) for i, sum in enumerate(sums)]

        sums = accumulate(0, self.depth, sums, step)
        for i, sum in enumerate(sums):
            at = (row + i // vectors) * self.channels + channel + i % vectors * lanes
            result = activate(sum, self.activation)
            if self.residual:
                result = arith.addf(result, others[0].vector(at, lanes))
            target.store(result, at)

    def _ahead(self, row: Position, channel: Position) -> Position | None:
        """Where in the next panel this block's prefetches begin: each block of rows asks for one of its vectors' share,
        so that the first few blocks bring the panel."""
        if self.rows >= MANY_ROWS or self.rows == 1 or self.depth * self.channels < PREFETCHED:
            return None
        width = self.block.vectors * self.lanes
        share = row // self.block.rows % self.block.vectors if not isinstance(row, int) else 0
        wanted = (channel + width) * self.depth + share * (self.depth * self.lanes)
        return least(wanted, self.depth * (self.channels - self.lanes))
