"""Pointwise convolution and dense layers on bytes for scalar invocations.

    output[m, n] = finish(sum over k of input[m, k] * weights[k, n] + bias[n])

All memory is 32-bit words, a word holding four neighbouring channels, the first lowest: input [M, K / 4], output
[M, N / 4]; weights [K / 4, N], padded to whole tiles, hold four depths of one channel a word. `table` is [bias,
multiplier, right shift, left shift][N], the last row only where `raised`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from iree.compiler.dialects import arith
from numpy.typing import NDArray

from mnetdsl.backends.iree.integers import NARROW, i32
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid, Simt
from mnetdsl.backends.iree.kernels.language import Memory, Position, accumulate, least
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.simt.language import (
    THREADS,
    barrier,
    elements,
    elements_grid,
    shared,
    thread,
    where_below,
)
from mnetdsl.backends.iree.quantized.levels import BYTES, byte_of
from mnetdsl.backends.iree.tensors import MlirValue, number

TILE = 32
"""Rows and channels of a workgroup's outputs."""
DEPTH = 8
"""Words along the depth of the tiles of both operands in shared memory: 2 KiB together."""
OWN = 4
"""Rows and channels of an invocation's outputs: it stores a word a row."""
ACROSS = TILE // OWN
"""Invocations along the channels."""


@dataclass(frozen=True)
class _ByteProduct(Simt):
    """What both ways to compute it share; `KIND` stands in the name.

    `depth` and `channels` count bytes and are multiples of four; `signed` says of the input's bytes whether they are,
    `bounds` and `zero_point` are the result's, `raised` that a factor of the layer is above 1.
    """

    KIND: ClassVar[str]
    rows: int
    depth: int
    channels: int
    signed: bool
    zero_point: int
    bounds: tuple[int, int]
    raised: bool

    @property
    def name(self) -> str:
        return f"simt_bytes_{self.KIND}_{self.rows}x{self.depth}x{self.channels}"

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        sizes = (
            self.rows * self._words,
            padded_size(self._words, DEPTH) * self._columns,
            (4 if self.raised else 3) * self._columns,
        )
        return tuple(Buffer(size, "i32") for size in sizes)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.channels // BYTES, "i32"),)

    @property
    def _words(self) -> int:
        return self.depth // BYTES

    @property
    def _columns(self) -> int:
        """Channels as weights and table hold them."""
        return padded_size(self.channels, TILE)

    def _added(self, sums: list[MlirValue], factors: list[MlirValue], weights: list[MlirValue]) -> list[MlirValue]:
        """`sums` [row][channel] and the products of words, one a row and one a channel."""
        for place in range(BYTES):
            left = [byte_of(word, place, self.signed) for word in factors]
            right = [byte_of(word, place, True) for word in weights]
            sums = [arith.addi(sum, arith.muli(left[i // OWN], right[i % OWN])) for i, sum in enumerate(sums)]
        return sums

    def _finished(self, sums: list[MlirValue], table: Memory, channel: Position) -> MlirValue:
        """The word of four neighbouring channels' sums, `channel` the first."""
        low, high = (number(bound, i32()) for bound in self.bounds)
        word = None
        for place, sum in enumerate(sums):
            operands = [
                table.scalar(row * self._columns + place + channel) for row in range(1, 4 if self.raised else 3)
            ]
            stored = arith.addi(NARROW.scale(sum, operands), number(self.zero_point, i32()))
            byte = arith.andi(arith.minsi(arith.maxsi(stored, low), high), number(0xFF, i32()))
            byte = arith.shli(byte, number(8 * place, i32())) if place else byte
            word = byte if word is None else arith.ori(word, byte)
        return word


@dataclass(frozen=True)
class SimtBytePointwise(_ByteProduct):
    """A workgroup makes 32 x 32 outputs, through tiles of both operands in shared memory."""

    KIND: ClassVar[str] = "pointwise"

    @property
    def grid(self) -> Grid:
        """Workgroups along channels and rows."""
        return self._columns // TILE, -(-self.rows // TILE)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, table, target = memories
        left, right = (shared(TILE * DEPTH, i32()) for _ in range(2))
        me = thread()
        down, across = me // ACROSS, me % ACROSS
        row, channel = group[1] * TILE, group[0] * TILE
        last = self.rows * self._words - 1

        def bring(k: Position) -> None:
            """The next tiles. Rows behind the last one are the last one again; words behind the depth are any, as
            their weights are 0."""
            for index in range(TILE * DEPTH // THREADS):
                at = me + index * THREADS
                pixel = least(row + at // DEPTH, self.rows - 1)
                left.store_scalar(source.scalar(least(pixel * self._words + (k + at % DEPTH), last)), at)
                right.store_scalar(weights.scalar((k + at // TILE) * self._columns + (channel + at % TILE)), at)

        def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            rows = [left.scalar((down * OWN + i) * DEPTH + k) for i in range(OWN)]
            columns = [right.scalar(k * TILE + (across * OWN + j)) for j in range(OWN)]
            return self._added(sums, rows, columns)

        def tile(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            bring(k)
            barrier()
            sums = accumulate(0, DEPTH, sums, step)
            barrier()
            return sums

        first = channel + across * OWN
        initial = [table.scalar(first + j) for j in range(OWN)] * OWN
        sums = accumulate(0, padded_size(self._words, DEPTH), initial, tile, DEPTH)
        with where_below(first, self.channels):
            for i in range(OWN):
                pixel = row + (down * OWN + i)
                with where_below(pixel, self.rows):
                    word = self._finished(sums[i * OWN : (i + 1) * OWN], table, first)
                    target.store_scalar(word, pixel * (self.channels // BYTES) + first // BYTES)


@dataclass(frozen=True)
class SimtByteRows(_ByteProduct):
    """The same for few rows: an invocation a word of outputs."""

    KIND: ClassVar[str] = "rows"

    @property
    def grid(self) -> Grid:
        return elements_grid(self.outputs[0].size)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, table, target = memories
        across = self.channels // BYTES
        with elements(group, self.outputs[0].size) as at:
            pixel, channel = at // across, at % across * BYTES

            def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
                columns = [weights.scalar(k * self._columns + (channel + j)) for j in range(OWN)]
                return self._added(sums, [source.scalar(pixel * self._words + k)], columns)

            sums = accumulate(0, self._words, [table.scalar(channel + j) for j in range(OWN)], step)
            target.store_scalar(self._finished(sums, table, channel), at)


def weight_words(filter: NDArray[np.int8], depth: int) -> NDArray[np.int32]:
    """Weights [K, O] of int8 as kernels take them, K padded to `depth` bytes and whole tiles with zeros."""
    taps, channels = filter.shape
    rows = padded_size(depth // BYTES, DEPTH) * BYTES
    padded = np.pad(filter, [(0, rows - taps), (0, padded_size(channels, TILE) - channels)])
    quads = padded.reshape(rows // BYTES, BYTES, -1).transpose(0, 2, 1)
    return np.ascontiguousarray(quads).view("<i4").reshape(-1)
