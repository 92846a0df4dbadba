"""Depthwise convolution: lanes are channels, a strip of output pixels accumulates in registers.

input [H, W, C], weights [KH, KW, C], bias [C], output [OH, OW, C]; C is a multiple of the lanes. Each column that is
loaded serves all taps of the strip that read it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least, loop, multiply_add
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
            Buffer(height * width * self.channels),
            Buffer(rows * columns * self.channels),
            Buffer(self.channels),
        )

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        rows, columns = self.window.outputs
        return (Buffer(rows * columns * self.channels),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, bias, target = memories
        rows, columns = self.window.outputs
        height = -(-rows // self.grid[0])
        width = -(-(self.channels // self.lanes) // self.grid[1]) * self.lanes
        top, first = group[0] * height, group[1] * width
        with loop(top, least(top + height, rows)) as y:
            channels = (first, least(first + width, self.channels))
            into = y * (columns * self.channels)
            depthwise_row(self, y, channels, source, weights, bias, target, into)


def depthwise_row(
    layer: Depthwise,
    y: Position,
    channels: tuple[Position, Position],
    source: Memory,
    weights: Memory,
    bias: Memory,
    target: Memory,
    into: Position,
) -> None:
    """Output row `y` of `layer` for a range of channels, stored from `into` on."""
    window, lanes, pitch = layer.window, layer.lanes, layer.channels
    low, high, first = window.rows(y)
    for start, end, size in window.strips(layer.strip):
        with loop(start, end, size) as x, loop(*channels, lanes) as channel:

            def tap(
                row: Position, sums: list[MlirValue], x: Position = x, channel: Position = channel
            ) -> list[MlirValue]:
                line = (first + row) * (window.size[1] * pitch) + channel
                kernel = row * (window.kernel[1] * pitch) + channel
                factors = [weights.vector(kernel + k * pitch, lanes) for k in range(window.kernel[1])]
                sums = list(sums)
                for offset in range((len(sums) - 1) * window.strides[1] + window.kernel[1]):
                    column = window.column(x, offset)
                    if column is None:
                        continue
                    readers = [
                        (output, offset - output * window.strides[1])
                        for output in range(len(sums))
                        if 0 <= offset - output * window.strides[1] < window.kernel[1]
                    ]
                    if readers:
                        value = source.vector(column * pitch + line, lanes)
                        for output, k in readers:
                            sums[output] = multiply_add(value, factors[k], sums[output])
                return sums

            sums = accumulate(low, high, [bias.vector(channel, lanes)] * size, tap)
            for output, sum in enumerate(sums):
                store_at = (x + output) * pitch + into + channel
                target.store(activate(sum, layer.activation), store_at)


def choose_strip(isa: Isa, window: Window) -> int:
    """Output pixels of a strip: as many sums as registers hold beside a row of taps, in equal strips where possible."""
    columns = window.outputs[1]
    most = min(isa.registers - window.kernel[1] - 3, 16)
    strips = -(-columns // most)
    return -(-columns // strips)
