"""Pointwise convolution and dense layers on bytes: `kernels.pointwise` with four depths a step.

input [M, pitch], weights packed [panel][pitch / 4][parts][instructions][panel's channels][depths of each], bias [N],
table of `finish`, output [M, N]. Weights that an instruction's operands do not hold are the sum of two parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.blocking import FEW_ROWS, WORKGROUPS, Block, parts, share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.isa import ByteIsa
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least, loop
from mnetdsl.backends.iree.kernels.pointwise import MANY_ROWS, PREFETCHED
from mnetdsl.backends.iree.quantized.kernels.bytes import QUAD, multiplied, operands, ordered, weight_type
from mnetdsl.backends.iree.quantized.kernels.finish import Finish
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish
from mnetdsl.backends.iree.quantized.kernels.store import store_bytes


@dataclass(frozen=True)
class BytePointwise:
    rows: int
    pitch: int
    channels: int
    isa: ByteIsa
    block: Block
    finish: Finish | FloatFinish
    parts: int = 1
    workgroups: int = WORKGROUPS

    @property
    def name(self) -> str:
        return f"bytes_pointwise_{self.rows}x{self.pitch}x{self.channels}"

    @property
    def grid(self) -> Grid:
        """Workgroups along rows and panels."""
        tiles = -(-self.rows // self.block.rows)
        if self.rows >= MANY_ROWS:
            return share(tiles, self.workgroups), 1
        columns = share(self._panels, self.workgroups)
        return share(tiles, max(1, self.workgroups // columns)), columns

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (
            Buffer(self.rows * self.pitch, "i8"),
            Buffer(self.parts * self.pitch * self.channels, weight_type(self.isa)),
            Buffer(self.channels, "i32"),
            self.finish.buffer(self.channels),
        )

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.channels, "i8"),)

    @property
    def _panels(self) -> int:
        return -(-self.channels // (self.block.vectors * self.isa.lanes))

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        tiles = -(-self.rows // self.block.rows)
        height = -(-tiles // self.grid[0]) * self.block.rows
        width = -(-self._panels // self.grid[1]) * self.block.vectors
        low, first = group[0] * height, group[1] * width
        total = self.channels // self.isa.lanes
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
        isa, lanes = self.isa, self.isa.lanes
        channel = across * lanes
        pixels = source.from_(row * self.pitch)
        panel = weights.from_(channel * (self.parts * self.pitch))
        ahead = self._ahead(row, channel)
        depths = len(isa.order[0])
        span = vectors * lanes * depths
        slots = self.parts * len(isa.order)

        def steps(k: Position, quads: int, sums: list[MlirValue]) -> list[MlirValue]:
            factors = [operands(isa, pixels, k * QUAD + r * self.pitch, quads) for r in range(rows)]
            for quad in range(quads):
                if ahead is not None:
                    weights.prefetch(ahead + (k + quad) * (lanes * QUAD))
                at = (k + quad) * slots * span
                taps = [panel.vector(at + place * (lanes * depths), lanes * depths) for place in range(slots * vectors)]
                sums = multiplied(isa, sums, [row[quad] for row in factors], taps)
            return sums

        sums = [bias.vector(channel + j * lanes, lanes) for j in range(vectors)] * rows
        total = self.pitch // QUAD
        whole = total // isa.round * isa.round
        if whole:
            sums = accumulate(0, whole, sums, lambda k, sums: steps(k, isa.round, sums), isa.round)
        if total > whole:
            sums = steps(whole, total - whole, sums)
        loaded = [self.finish.load(table, channel + j * lanes, lanes) for j in range(vectors)]
        places = [(row + i // vectors) * self.channels + channel + i % vectors * lanes for i in range(len(sums))]
        store_bytes(self.finish, target, sums, loaded * rows, places)

    def _ahead(self, row: Position, channel: Position) -> Position | None:
        """As `kernels.pointwise`, in bytes."""
        if self.rows >= MANY_ROWS or self.rows == 1 or self.parts > 1:
            return None
        if self.pitch * self.channels < QUAD * PREFETCHED[self.rows <= FEW_ROWS]:
            return None
        width = self.block.vectors * self.isa.lanes
        share = row // self.block.rows % self.block.vectors
        wanted = (channel + width) * self.pitch + share * (self.pitch * self.isa.lanes)
        return least(wanted, self.pitch * (self.channels - self.isa.lanes))


def quads(isa: ByteIsa, matrix: NDArray[np.int16], width: int) -> NDArray[Any]:
    """[parts, K, N], K a multiple of 4, as panels of `width` channels, flat."""
    parts, depth, channels = matrix.shape
    split = ordered(isa, matrix.reshape(parts, depth // QUAD, QUAD, channels), axis=2)
    grouped = split.transpose(1, 0, 2, 4, 3)
    cuts = range(width, channels, width)
    return np.concatenate([np.ascontiguousarray(panel).reshape(-1) for panel in np.split(grouped, cuts, axis=3)])
