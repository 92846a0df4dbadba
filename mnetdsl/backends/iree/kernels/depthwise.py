"""Depthwise convolution: lanes are channels, a strip of output pixels accumulates in registers.

input [H, W, C], weights [KH, KW, C], bias [C], output [OH, OW, C]; C is a multiple of the lanes. Each column that is
loaded serves all taps of the strip that read it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import FLOAT, Buffer, Elements, Grid
from mnetdsl.backends.iree.kernels.isa import Isa
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

MANY_ROWS = 28
"""Output rows from which workgroups share them; below, they share channels."""


@dataclass(frozen=True)
class Depthwise:
    window: Window
    channels: int
    lanes: int
    strip: int
    activation: str = "none"
    elements: Elements = FLOAT
    pitch: int | None = None
    made: int | None = None
    """Elements from pixel to pixel of the input, and of the output, where that is not all channels."""

    @property
    def name(self) -> str:
        (rows, columns), (height, width) = self.window.outputs, self.window.kernel
        stride = f"s{self.window.strides[0]}"
        return f"depthwise_{rows}x{columns}x{self.channels}_{height}x{width}{stride}_{self.activation}"

    @property
    def grid(self) -> Grid:
        """Workgroups along rows and channels."""
        rows, vectors = self.window.outputs[0], self.channels // self.lanes
        return (share(rows), 1) if rows >= MANY_ROWS else (1, share(vectors))

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        (height, width), (rows, columns) = self.window.size, self.window.kernel
        return (
            Buffer(height * width * self.channels, self.elements.source),
            Buffer(rows * columns * self.channels),
            Buffer(self.channels),
        )

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        rows, columns = self.window.outputs
        return (Buffer(rows * columns * self.channels, self.elements.target),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, bias, target = memories
        rows, columns = self.window.outputs
        height = -(-rows // self.grid[0])
        width = -(-(self.channels // self.lanes) // self.grid[1]) * self.lanes
        top, first = group[0] * height, group[1] * width
        channels = (first, least(first + width, self.channels))
        origin = Rows(source, self.window.size[1] * self.channels)
        with loop(top, least(top + height, rows)) as y:
            self.emit_row(y, origin, weights, bias, target.from_(y * (columns * self.channels)), channels)

    def emit_row(
        self,
        y: Position,
        source: Rows,
        weights: Memory,
        bias: Memory,
        target: Memory,
        channels: tuple[Position, Position] | None = None,
    ) -> None:
        """Output row `y`, which `target` begins with, for a range of channels or all."""
        for start, end, size in self.window.strips(self.strip):
            with loop(start, end, size) as x, loop(*(channels or (0, self.channels)), self.lanes) as channel:
                sums = self._strip(y, x, size, channel, source, weights, bias)
                for output, sum in enumerate(sums):
                    target.store(activate(sum, self.activation), (x + output) * (self.made or self.channels) + channel)

    def _strip(
        self, y: Position, x: Position, size: int, channel: Position, source: Rows, weights: Memory, bias: Memory
    ) -> list[MlirValue]:
        """The sums of `size` outputs from column `x` on, before the activation."""
        window, lanes, pitch = self.window, self.lanes, self.pitch or self.channels
        low, high, first = window.rows(y)
        width, stride = window.kernel[1], window.strides[1]

        def tap(row: Position, sums: list[MlirValue]) -> list[MlirValue]:
            line = source.row(first + row).from_(channel)
            kernel = weights.from_(row * (width * self.channels) + channel)
            factors = [kernel.vector(k * self.channels, lanes) for k in range(width)]
            for offset in range((size - 1) * stride + width):
                column = window.column(x, offset)
                readers = [output for output in range(size) if 0 <= offset - output * stride < width]
                if column is None or not readers:
                    continue
                value = line.vector(column * pitch, lanes)
                for output in readers:
                    sums[output] = multiply_add(value, factors[offset - output * stride], sums[output])
            return sums

        return accumulate(low, high, [bias.vector(channel, lanes)] * size, tap)


def choose_strip(isa: Isa, window: Window) -> int:
    """Output pixels of a strip: as many sums as registers hold beside a row of taps, in equal strips where possible."""
    columns = window.outputs[1]
    most = min(isa.registers - window.kernel[1] - 3, 16)
    strips = -(-columns // most)
    return -(-columns // strips)
