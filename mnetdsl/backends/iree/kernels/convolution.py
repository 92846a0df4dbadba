"""Convolution with a window over few input channels, stems above all, or over many: direct, without im2col.

input [H, W, pitch >= I], weights packed [panel][KH][KW][I][panel's channels], bias [O], residual, output [OH, OW, O]; O
is a multiple of the lanes. A strip of output pixels times a panel accumulates in registers over the whole window.
Columns of the window are taken together: where strides are shorter than it is wide, most inputs serve several of them.
"""

from __future__ import annotations

from collections.abc import Callable
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

UNROLLED = 4
"""Input channels up to which the loop over them is unrolled."""
Step = Callable[[Position, list[MlirValue]], list[MlirValue]]


@dataclass(frozen=True)
class Convolution:
    window: Window
    depth: int
    channels: int
    pitch: int
    lanes: int
    block: Block
    together: int = 1
    """Columns of the window that a step takes."""
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

        width, stride = window.kernel[1], window.strides[1]
        # A few channels, a stem's, take no loop.
        unroll = self.depth if self.together > 1 and self.depth <= UNROLLED else 1

        def tap(row: Position, sums: list[MlirValue]) -> list[MlirValue]:
            line = source.row(first + row)
            taps = panel.from_(row * (width * self.depth * span))
            for group, depths in self._groups(x, size):

                def step(depth: Position, sums: list[MlirValue], group: range = group) -> list[MlirValue]:
                    factors = {
                        k: [taps.vector((depth + k * self.depth) * span + j * lanes, lanes) for j in range(vectors)]
                        for k in group
                    }
                    sums = list(sums)
                    for offset in range((size - 1) * stride + width):
                        column = window.column(x, offset)
                        readers = [output for output in range(size) if offset - output * stride in group]
                        if column is None or not readers:
                            continue
                        value = line.spread(column * self.pitch + depth, lanes)
                        for output in readers:
                            for at, factor in enumerate(factors[offset - output * stride], output * vectors):
                                sums[at] = multiply_add(value, factor, sums[at])
                    return sums

                def steps(depth: Position, sums: list[MlirValue], step: Step = step) -> list[MlirValue]:
                    for index in range(unroll):
                        sums = step(depth + index, sums)
                    return sums

                sums = accumulate(0, depths, sums, steps, unroll)
            return sums

        initial = [bias.vector(channel + j * lanes, lanes) for j in range(vectors)] * size
        return accumulate(low, high, initial, tap)

    def _groups(self, x: Position, size: int) -> list[tuple[range, int]]:
        """How a row of the window is walked for a strip: columns that are taken together, and steps along the channels.

        One by one, all columns and their channels lie in a row where the whole strip is inside and nothing pads the
        pixels: steps go on from one column into the next.
        """
        window, width = self.window, self.window.kernel[1]
        if self.together == 1 and self.pitch == self.depth:
            offsets = range((size - 1) * window.strides[1] + width)
            if all(window.column(x, offset) is not None for offset in offsets):
                return [(range(1), width * self.depth)]
        starts = range(0, width, self.together)
        return [(range(start, min(start + self.together, width)), self.depth) for start in starts]
