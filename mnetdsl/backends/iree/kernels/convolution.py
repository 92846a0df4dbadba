"""Convolution with a window over few input channels, stems above all, or over many: direct, without im2col.

input [H, W, pitch >= I], weights packed [panel][KH][KW][I][panel's channels], bias [O], residual, output [OH, OW, O]; O
is a multiple of the lanes. A strip of output pixels times a panel accumulates in registers over the whole window.
"""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.blocking import WORKGROUPS, Block, parts, share
from mnetdsl.backends.iree.kernels.executables import FLOAT, Buffer, Elements, Grid
from mnetdsl.backends.iree.kernels.language import (
    Memory,
    MlirValue,
    Position,
    Rows,
    accumulate,
    least,
    loop,
    multiply_add,
)
from mnetdsl.backends.iree.kernels.window import Window


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
    elements: Elements = FLOAT

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
        source = Buffer(height * width * self.pitch, self.elements.source)
        rows, columns = self.window.outputs
        residual = (Buffer(rows * columns * self.channels, self.elements.residual),) if self.residual else ()
        return (source, Buffer(taps * self.channels), Buffer(self.channels), *residual)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        rows, columns = self.window.outputs
        return (Buffer(rows * columns * self.channels, self.elements.target),)

    @property
    def _panels(self) -> int:
        return -(-self.channels // (self.block.vectors * self.lanes))

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        rows, columns = self.window.outputs
        pitch = columns * self.channels
        height = -(-rows // self.grid[0])
        width = -(-self._panels // self.grid[1]) * self.block.vectors
        top, first = group[0] * height, group[1] * width
        vectors = (first, least(first + width, self.channels // self.lanes))
        origin = Rows(source, self.window.size[1] * self.pitch)
        with loop(top, least(top + height, rows)) as y:
            residual = others[0].from_(y * pitch) if others else None
            self.emit_row(y, origin, weights, bias, target.from_(y * pitch), residual, vectors)

    def emit_row(
        self,
        y: Position,
        source: Rows,
        weights: Memory,
        bias: Memory,
        target: Memory,
        residual: Memory | None = None,
        vectors: tuple[Position, Position] | None = None,
    ) -> None:
        """Output row `y`, which `target` (and `residual`) begin with, for a range of vectors of channels or all."""
        total = self.channels // self.lanes
        for width, left, right in parts(*(vectors or (0, total)), self.block.vectors, total):
            with loop(left, right, width) as vector:
                for start, end, size in self.window.strips(self.block.rows):
                    with loop(start, end, size) as x:
                        sums = self._strip(y, x, size, vector, width, source, weights, bias)
                        for i, sum in enumerate(sums):
                            at = (x + i // width) * self.channels + (vector + i % width) * self.lanes
                            result = activate(sum, self.activation)
                            if residual is not None:
                                result = arith.addf(result, residual.vector(at, self.lanes))
                            target.store(result, at)

    def _strip(
        self,
        y: Position,
        x: Position,
        size: int,
        vector: Position,
        vectors: int,
        source: Rows,
        weights: Memory,
        bias: Memory,
    ) -> list[MlirValue]:
        """The sums of `size` outputs from column `x` on times `vectors` vectors of channels, before the activation."""
        window, lanes = self.window, self.lanes
        channel = vector * lanes
        low, high, first = window.rows(y)
        span = vectors * lanes
        panel = weights.from_(channel * (window.kernel[0] * window.kernel[1] * self.depth))

        def tap(row: Position, sums: list[MlirValue]) -> list[MlirValue]:
            line = source.row(first + row)
            for start, length, inside in self._runs(x, size):
                taps = panel.from_((row * window.kernel[1] + start) * (self.depth * span))

                def step(
                    depth: Position,
                    sums: list[MlirValue],
                    inside: list[int] = inside,
                    start: int = start,
                    taps: Memory = taps,
                ) -> list[MlirValue]:
                    factors = [taps.vector(depth * span + j * lanes, lanes) for j in range(vectors)]
                    for output in inside:
                        column = window.column(x, output * window.strides[1] + start)
                        assert column is not None
                        value = line.spread(column * self.pitch + depth, lanes)
                        for j, factor in enumerate(factors):
                            sums[output * vectors + j] = multiply_add(value, factor, sums[output * vectors + j])
                    return sums

                sums = accumulate(0, length * self.depth, sums, step)
            return sums

        initial = [bias.vector(channel + j * lanes, lanes) for j in range(vectors)] * size
        return accumulate(low, high, initial, tap)

    def _runs(self, x: Position, size: int) -> list[tuple[int, int, list[int]]]:
        """How the columns of the window are walked for a strip: (first, columns, outputs for which they are inside).

        Where the whole strip is inside and nothing pads the pixels, all columns and their channels lie in a row.
        """
        window = self.window
        inside = [
            [output for output in range(size) if window.column(x, output * window.strides[1] + k) is not None]
            for k in range(window.kernel[1])
        ]
        if self.pitch == self.depth and all(len(outputs) == size for outputs in inside):
            return [(0, window.kernel[1], inside[0])]
        return [(k, 1, outputs) for k, outputs in enumerate(inside) if outputs]
