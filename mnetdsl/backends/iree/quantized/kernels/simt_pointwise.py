"""Pointwise convolution and dense layers on bytes for scalar invocations.

    output[m, n] = finish(sum over k of input[m, k] * weights[k, n] + bias[n])

input [rows, words], weights [depth, columns], words padded to whole tiles of `depth`, output [rows, across], all of
words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.backends.iree.integers import i32
from mnetdsl.backends.iree.kernels.executables import Call, Given
from mnetdsl.backends.iree.kernels.language import Memory, Position, accumulate, least
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.simt.language import (
    THREADS,
    barrier,
    each,
    elements_grid,
    shared,
    thread,
    where_below,
)
from mnetdsl.backends.iree.quantized.kernels.simt_filters import FILTER, OWN, FilterKernel
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.tensors import MlirValue

TILE = 32
"""Rows and channels of a workgroup's outputs."""
DEPTH = 8
"""Words along the depth of the tiles of both operands in shared memory: 2 KiB together."""
ACROSS = TILE // OWN
"""Invocations along the channels."""


@dataclass(frozen=True)
class _ByteProduct(FilterKernel):
    NUMBERS: ClassVar[tuple[str, ...]] = ("rows", "words", "depth", "across", *FILTER)

    def call(self, rows: int, words: int, channels: int, numbers: dict[str, int]) -> Call:
        """For `rows` of `words` words and `channels` outputs; `numbers` are those of `FILTER`."""
        across = padded_size(channels, BYTES) // BYTES
        sizes = {"rows": rows, "words": words, "depth": padded_size(words, DEPTH), "across": across}
        return Call(self._grid(rows, across, numbers["columns"]), sizes | numbers, rows * across)

    def _grid(self, rows: int, across: int, columns: int) -> tuple[int, int]:
        raise NotImplementedError


@dataclass(frozen=True)
class SimtBytePointwise(_ByteProduct):
    """A workgroup makes 32 x 32 outputs, through tiles of both operands in shared memory."""

    KIND: ClassVar[str] = "simt_bytes_pointwise"

    def _grid(self, rows: int, across: int, columns: int) -> tuple[int, int]:
        """Workgroups along channels and rows."""
        return columns // TILE, -(-rows // TILE)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, weights, table, target = memories
        rows, words, columns = given["rows"], given["words"], given["columns"]
        left, right = (shared(TILE * DEPTH, i32()) for _ in range(2))
        me = thread()
        down, across = me // ACROSS, me % ACROSS
        row, channel = group[1] * TILE, group[0] * TILE
        last = rows * words - 1

        def bring(k: Position) -> None:
            """The next tiles. Rows behind the last one are the last one again; words behind the depth are any, as
            their weights are 0."""
            for index in range(TILE * DEPTH // THREADS):
                at = me + index * THREADS
                pixel = least(row + at // DEPTH, rows - 1)
                left.store_scalar(source.scalar(least(pixel * words + (k + at % DEPTH), last)), at)
                right.store_scalar(weights.scalar((k + at // TILE) * columns + (channel + at % TILE)), at)

        def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            pixels = [left.scalar((down * OWN + i) * DEPTH + k) for i in range(OWN)]
            channels = [right.scalar(k * TILE + (across * OWN + j)) for j in range(OWN)]
            return self.added(given, sums, pixels, channels)

        def tile(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            bring(k)
            barrier()
            sums = accumulate(0, DEPTH, sums, step)
            barrier()
            return sums

        first = channel + across * OWN
        bias, operands = self.operands(given, table, first)
        sums = accumulate(0, given["depth"], bias * OWN, tile, DEPTH)
        with where_below(first // BYTES, given["across"]):
            for i in range(OWN):
                pixel = row + (down * OWN + i)
                word = self.finished(given, sums[i * OWN : (i + 1) * OWN], operands)
                with where_below(pixel, rows):
                    target.store_scalar(word, pixel * given["across"] + first // BYTES)


@dataclass(frozen=True)
class SimtByteRows(_ByteProduct):
    """The same for few rows: an invocation a word of outputs."""

    KIND: ClassVar[str] = "simt_bytes_rows"

    def _grid(self, rows: int, across: int, columns: int) -> tuple[int, int]:
        return elements_grid(rows * across)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, weights, table, target = memories
        words, columns, across = given["words"], given["columns"], given["across"]
        with each(group, given["rows"] * across) as at:
            pixel, channel = at // across, at % across * BYTES

            def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
                channels = [weights.scalar(columns * k + (channel + j)) for j in range(OWN)]
                return self.added(given, sums, [source.scalar(pixel * words + k)], channels)

            bias, operands = self.operands(given, table, channel)
            sums = accumulate(0, words, bias, step)
            target.store_scalar(self.finished(given, sums, operands), at)
