"""Pointwise convolution and dense layers: a product of matrices with its whole epilogue in registers.

    output[m, n] = activation(sum over k of input[m, k] * weights[k, n] + bias[n]) + residual[m, n]

input [M, pitch >= K], weights packed [panel][K][panel's channels], bias [N], residual, output [M, N]; N is a multiple
of the lanes. A block of rows times a panel of weights accumulates in registers along K, beginning with the bias.
"""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.blocking import FEW_ROWS, WORKGROUPS, Block, parts, share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least, loop, multiply_add

MANY_ROWS = 784
"""From here on workgroups share rows, and one keeps its rows in cache while it walks all panels."""

PREFETCHED = {True: 16_000, False: 100_000}
"""Weights from which the next panel is asked for while this one is used, for few rows and for many: the fewer rows, the
less time there is to wait for weights, which the layers before have driven out of the nearer caches."""

LINE = 16
"""Elements of a line of the cache."""


@dataclass(frozen=True)
class Upcoming:
    """Constants of layers behind that a kernel asks for: `size` elements, `distance` from where its weights begin."""

    distance: int
    size: int


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
    beside: int = 0
    """Channels of the layer where these are only a panel of it."""
    onto: bool = False
    """Whether sums begin with what the output holds, instead of the bias."""
    upcoming: Upcoming | None = None
    near: bool = False
    """Whether another kernel has asked for the weights."""

    @property
    def name(self) -> str:
        return f"pointwise_{self.rows}x{self.depth}x{self.channels}_{self.activation}{'_add' if self.residual else ''}"

    @property
    def grid(self) -> Grid:
        """Workgroups along rows and panels."""
        tiles = -(-self.rows // self.block.rows)
        if self.rows >= MANY_ROWS:
            return share(tiles), 1
        columns = share(self.panels)
        return share(tiles, max(1, WORKGROUPS // columns)), columns

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        sizes = (self.rows * self.pitch, self.depth * self.channels, self.channels)
        return (*map(Buffer, sizes), *(self.outputs if self.residual else ()))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.channels),)

    @property
    def panels(self) -> int:
        """Of weights: the last one may be narrower."""
        return -(-self.channels // (self.block.vectors * self.lanes))

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        tiles = -(-self.rows // self.block.rows)
        height = -(-tiles // self.grid[0]) * self.block.rows
        width = -(-self.panels // self.grid[1]) * self.block.vectors
        low, first = group[0] * height, group[1] * width
        high = least(low + height, self.rows)
        last = least(first + width, self.channels // self.lanes)
        source, weights, bias, *others, target = memories
        self.emit_rows((low, high), (first, last), source, weights, bias, target, others[0] if others else None)

    def emit_rows(
        self,
        rows: tuple[Position, Position],
        vectors: tuple[Position, Position],
        source: Memory,
        weights: Memory,
        bias: Memory,
        target: Memory,
        residual: Memory | None = None,
    ) -> None:
        """A range of rows, beginning with a whole block, times a range of vectors of channels, with a whole panel."""
        heights = parts(*rows, self.block.rows, self.rows)
        widths = parts(*vectors, self.block.vectors, self.channels // self.lanes)
        if self.rows >= MANY_ROWS:
            for height, start, end in heights:
                with loop(start, end, height) as row:
                    for width, left, right in widths:
                        with loop(left, right, width) as vector:
                            self._block(row, height, vector, width, source, weights, bias, target, residual)
        else:
            for width, left, right in widths:
                with loop(left, right, width) as vector:
                    for height, start, end in heights:
                        with loop(start, end, height) as row:
                            self._block(row, height, vector, width, source, weights, bias, target, residual)

    def _block(
        self,
        row: Position,
        rows: int,
        vector: Position,
        vectors: int,
        source: Memory,
        weights: Memory,
        bias: Memory,
        target: Memory,
        residual: Memory | None,
    ) -> None:
        lanes = self.lanes
        channel = vector * lanes
        pixels = source.from_(row * self.pitch)
        panel = weights.from_(channel * self.depth)
        ahead = self._ahead(row, channel)
        unroll = self.block.unroll if self.depth % self.block.unroll == 0 else 1
        upcoming, pace = self._upcoming(row, vector, unroll)
        places = [(row + i // vectors) * self.channels + channel + i % vectors * lanes for i in range(rows * vectors)]
        if self.onto:
            sums = [target.vector(at, lanes) for at in places]
        else:
            sums = [bias.vector(channel + j * lanes, lanes) for j in range(vectors)] * rows

        def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            if ahead is not None:
                weights.prefetch(ahead + k * lanes)
            taps = [panel.vector(k * (vectors * lanes) + j * lanes, lanes) for j in range(vectors)]
            factors = [pixels.spread(k + r * self.pitch, lanes) for r in range(rows)]
            return [multiply_add(factors[i // vectors], taps[i % vectors], sum) for i, sum in enumerate(sums)]

        def steps(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            if pace:
                weights.prefetch(upcoming + k * pace)
            for index in range(unroll):
                sums = step(k + index, sums)
            return sums

        for at, sum in zip(places, accumulate(0, self.depth, sums, steps, unroll), strict=True):
            result = activate(sum, self.activation)
            if residual is not None:
                result = arith.addf(result, residual.vector(at, lanes))
            target.store(result, at)

    def _ahead(self, row: Position, channel: Position) -> Position | None:
        """Where in the next panel this block's prefetches begin: each block of rows asks for one of its vectors' share,
        so that the first few blocks bring the panel."""
        if self.rows >= MANY_ROWS or self.rows == 1 or self.near:
            return None
        if self.depth * max(self.channels, self.beside) < PREFETCHED[self.rows <= FEW_ROWS]:
            return None
        width = self.block.vectors * self.lanes
        share = row // self.block.rows % self.block.vectors
        wanted = (channel + width) * self.depth + share * (self.depth * self.lanes)
        return wanted if self.beside else least(wanted, self.depth * (self.channels - self.lanes))

    def _upcoming(self, row: Position, vector: Position, unroll: int) -> tuple[Position, int]:
        """Where this block begins to ask for what comes next, and how many elements further each step along the depth
        does so: a round of the loop asks for a line, and the one beside it comes along. Only within few rows."""
        if self.upcoming is None:
            return 0, 0
        tiles = -(-self.rows // self.block.rows)
        pace = -(-self.upcoming.size // (self.depth * tiles * self.panels))
        block = vector // self.block.vectors * tiles + row // self.block.rows
        return block * (pace * self.depth) + self.upcoming.distance, min(pace, 2 * LINE // unroll)
