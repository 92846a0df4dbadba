"""Convolution with a window over few input channels, stems above all, or over many: direct, without im2col.

input [H, W, pitch >= I], weights packed [panel][KH][KW][I][panel's channels], bias [O], residual, output [OH, OW, O]; O
is a multiple of the lanes. A strip of output pixels times a panel accumulates in registers over the whole window.
"""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.blocking import WORKGROUPS, Block, parts, share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least, loop, multiply_add
from mnetdsl.backends.iree.kernels.window import Window

UNROLLED = 4
"""Input channels up to which their loop is written out."""


@dataclass(frozen=True)
class Convolution:
    window: Window
    depth: int
    channels: int
    pitch: int
    lanes: int
    block: Block
    activation: str = "none"
    residual: bool = False

    @property
    def name(self) -> str:
        (rows, columns), (height, width) = self.window.outputs, self.window.kernel
        shape = f"{rows}x{columns}x{self.depth}x{self.channels}_{height}x{width}s{self.window.strides[0]}"
        return f"convolution_{shape}_{self.activation}{'_add' if self.residual else ''}"

    @property
    def grid(self) -> Grid:
        """Workgroups along rows and panels."""
        rows = share(self.window.outputs[0])
        return rows, min(self._panels, max(1, WORKGROUPS // rows))

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        (height, width), (rows, columns) = self.window.size, self.window.kernel
        taps = rows * columns * self.depth
        sizes = (height * width * self.pitch, taps * self.channels, self.channels)
        return (*map(Buffer, sizes), *(self.outputs if self.residual else ()))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        rows, columns = self.window.outputs
        return (Buffer(rows * columns * self.channels),)

    @property
    def _panels(self) -> int:
        return -(-self.channels // (self.block.vectors * self.lanes))

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        rows = self.window.outputs[0]
        height = -(-rows // self.grid[0])
        width = -(-self._panels // self.grid[1]) * self.block.vectors
        top, first = group[0] * height, group[1] * width
        last = least(first + width, self.channels // self.lanes)
        with loop(top, least(top + height, rows)) as y:
            for vectors, left, right in parts(first, last, self.block.vectors, self.channels // self.lanes):
                with loop(left, right, vectors) as vector:
                    for start, end, size in self.window.strips(self.block.rows):
                        with loop(start, end, size) as x:
                            self._block(y, x, size, vector, vectors, *memories)

    def _block(self, y: Position, x: Position, size: int, vector: Position, vectors: int, *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        window, lanes = self.window, self.lanes
        channel = vector * lanes
        low, high, first = window.rows(y)
        span = vectors * lanes
        panel = channel * (window.kernel[0] * window.kernel[1] * self.depth)

        def tap(row: Position, sums: list[MlirValue]) -> list[MlirValue]:
            line = (first + row) * (window.size[1] * self.pitch)
            taps = row * (window.kernel[1] * self.depth * span) + panel
            for k in range(window.kernel[1]):
                columns = [window.column(x, output * window.strides[1] + k) for output in range(size)]
                inside = [(output, column) for output, column in enumerate(columns) if column is not None]
                if not inside:
                    continue
                at = taps + k * (self.depth * span)

                def step(
                    depth: Position,
                    sums: list[MlirValue],
                    inside: list[tuple[int, Position]] = inside,
                    at: Position = at,
                ) -> list[MlirValue]:
                    sums = list(sums)
                    factors = [weights.vector(at + depth * span + j * lanes, lanes) for j in range(vectors)]
                    for output, column in inside:
                        value = source.spread(column * self.pitch + line + depth, lanes)
                        for j, factor in enumerate(factors):
                            sums[output * vectors + j] = multiply_add(value, factor, sums[output * vectors + j])
                    return sums

                if self.depth <= UNROLLED:
                    for depth in range(self.depth):
                        sums = step(depth, sums)
                else:
                    sums = accumulate(0, self.depth, sums, step)
            return sums

        initial = [bias.vector(channel + j * lanes, lanes) for j in range(vectors)] * size
        sums = accumulate(low, high, initial, tap)
        into = y * (window.outputs[1] * self.channels) + channel
        for i, sum in enumerate(sums):
            at = (x + i // vectors) * self.channels + into + i % vectors * lanes
            result = activate(sum, self.activation)
            if self.residual:
                result = arith.addf(result, others[0].vector(at, lanes))
            target.store(result, at)
