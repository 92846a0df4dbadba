"""Pointwise convolution and dense layers on bytes: `kernels.pointwise` with four depths a step.

input [M, pitch], weights packed [panel][pitch / 4][parts][panel's channels][4], bias [N], table of `finish`, output
[M, N]. Weights that 8 bits do not hold are the sum of two parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.blocking import FEW_ROWS, WORKGROUPS, Block, parts, share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least, loop
from mnetdsl.backends.iree.kernels.pointwise import MANY_ROWS, PREFETCHED
from mnetdsl.backends.iree.quantized.kernels.bytes import QUAD, dot, spread_quad
from mnetdsl.backends.iree.quantized.kernels.finish import Finish
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish


@dataclass(frozen=True)
class BytePointwise:
    rows: int
    pitch: int
    channels: int
    lanes: int
    block: Block
    finish: Finish | FloatFinish
    parts: int = 1

    @property
    def name(self) -> str:
        return f"bytes_pointwise_{self.rows}x{self.pitch}x{self.channels}"

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
        return (
            Buffer(self.rows * self.pitch, "i8"),
            Buffer(self.parts * self.pitch * self.channels, "i8"),
            Buffer(self.channels, "i32"),
            self.finish.buffer(self.channels),
        )

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.channels, "i8"),)

    @property
    def _panels(self) -> int:
        return -(-self.channels // (self.block.vectors * self.lanes))

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        tiles = -(-self.rows // self.block.rows)
        height = -(-tiles // self.grid[0]) * self.block.rows
        width = -(-self._panels // self.grid[1]) * self.block.vectors
        low, first = group[0] * height, group[1] * width
        total = self.channels // self.lanes
        heights = parts(low, least(low + height, self.rows), self.block.rows, self.rows)
        widths = parts(first, least(first + width, total), self.block.vectors, total)
        if self.rows >= MANY_ROWS:
            for rows, start, end in heights:
                with loop(start, end, rows) as row:
                    for vectors, left, right in widths:
                        with loop(left, right, vectors) as across:
                            self._block(row, rows, across, vectors, *memories)
        else:
            for vectors, left, right in widths:
                with loop(left, right, vectors) as across:
                    for rows, start, end in heights:
                        with loop(start, end, rows) as row:
                            self._block(row, rows, across, vectors, *memories)

    def _block(
        self,
        row: Position,
        rows: int,
        across: Position,
        vectors: int,
        source: Memory,
        weights: Memory,
        bias: Memory,
        table: Memory,
        target: Memory,
    ) -> None:
        lanes = self.lanes
        channel = across * lanes
        pixels = source.from_(row * self.pitch)
        panel = weights.from_(channel * (self.parts * self.pitch))
        ahead = self._ahead(row, channel)
        span = vectors * lanes * QUAD

        def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            if ahead is not None:
                weights.prefetch(ahead + k * (lanes * QUAD))
            factors = [spread_quad(pixels, k * QUAD + r * self.pitch, lanes) for r in range(rows)]
            for part in range(self.parts):
                at = (k * self.parts + part) * span
                taps = [panel.vector(at + j * (lanes * QUAD), lanes * QUAD) for j in range(vectors)]
                sums = [dot(sum, factors[i // vectors], taps[i % vectors]) for i, sum in enumerate(sums)]
            return sums

        initial = [bias.vector(channel + j * lanes, lanes) for j in range(vectors)] * rows
        sums = accumulate(0, self.pitch // QUAD, initial, step)
        loaded = [self.finish.load(table, channel + j * lanes, lanes) for j in range(vectors)]
        for i, sum in enumerate(sums):
            at = (row + i // vectors) * self.channels + channel + i % vectors * lanes
            target.store(self.finish.bytes(sum, loaded[i % vectors]), at)

    def _ahead(self, row: Position, channel: Position) -> Position | None:
        """As `kernels.pointwise`, in bytes."""
        if self.rows >= MANY_ROWS or self.rows == 1 or self.parts > 1:
            return None
        if self.pitch * self.channels < QUAD * PREFETCHED[self.rows <= FEW_ROWS]:
            return None
        width = self.block.vectors * self.lanes
        share = row // self.block.rows % self.block.vectors
        wanted = (channel + width) * self.pitch + share * (self.pitch * self.lanes)
        return least(wanted, self.pitch * (self.channels - self.lanes))


def quads(matrix: NDArray[np.int8], width: int) -> NDArray[np.int8]:
    """[parts, K, N], K a multiple of 4, as panels of `width` channels, [K / 4, parts, their channels, 4] each; flat."""
    parts, depth, channels = matrix.shape
    grouped = matrix.reshape(parts, depth // QUAD, QUAD, channels).transpose(1, 0, 3, 2)
    cuts = range(width, channels, width)
    return np.concatenate([np.ascontiguousarray(panel).reshape(-1) for panel in np.split(grouped, cuts, axis=2)])
