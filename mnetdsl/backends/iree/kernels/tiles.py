"""Convolution in bfloat16 on AMX: blocks of two tiles of pixels times two tiles of channels.

Maps are in bfloat16 with channels padded to 32, biases float32. A tile of pixels is 16 of them in a row of the output;
the last one of a row begins so that it ends with the row: it computes some of them again.
"""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels import amx
from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.amx import DEPTH, LANES, ROWS, WIDTH
from mnetdsl.backends.iree.kernels.bfloat import BITS, NAME
from mnetdsl.backends.iree.kernels.blocking import WORKGROUPS, share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, Position, greatest, least, loop, zeros
from mnetdsl.backends.iree.kernels.window import Window

MANY_ROWS = 784
"""From so many pixels on they stay near while all weights pass; below, the other way round."""


@dataclass(frozen=True)
class TileConvolution:
    """activation(sum over the window and k of input[…, k] * weights[…, k, n] + bias[n]) + residual[y, x, n]

    The window of the input, [H, W, depth], lies inside it everywhere (`PadMap`); weights [KH * KW * depth, channels]
    arranged by `amx.tiles`. A pointwise convolution has one row of all pixels.
    """

    window: Window
    depth: int
    channels: int
    activation: str = "none"
    residual: bool = False
    target: str = NAME

    @property
    def name(self) -> str:
        (rows, columns), (height, width) = self.window.outputs, self.window.kernel
        kind = f"{height}x{width}s{self.window.strides[0]}_" if self._taps > 1 else ""
        suffix = "_add" if self.residual else ""
        return f"tiles_{rows}x{columns}x{self.depth}x{self.channels}_{kind}{self.activation}{suffix}"

    @property
    def grid(self) -> Grid:
        """Workgroups along blocks of pixels and of channels."""
        if self._pixels >= MANY_ROWS:
            return share(self._downs), 1
        columns = share(self.channels // WIDTH)
        return share(self._downs, max(1, WORKGROUPS // columns)), columns

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        (height, width), taps = self.window.size, self._taps
        residual = (Buffer(self._pixels * self.channels, NAME),) if self.residual else ()
        map = Buffer(height * width * self.depth, NAME)
        return (map, Buffer(taps * self.depth * self.channels, BITS), Buffer(self.channels), *residual)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self._pixels * self.channels, self.target),)

    @property
    def _pixels(self) -> int:
        return self.window.outputs[0] * self.window.outputs[1]

    @property
    def _taps(self) -> int:
        return self.window.kernel[0] * self.window.kernel[1]

    @property
    def _across(self) -> int:
        """Tiles of an output row."""
        return -(-self.window.outputs[1] // ROWS)

    @property
    def _tiles(self) -> int:
        return self.window.outputs[0] * self._across

    @property
    def _height(self) -> int:
        """Tiles of pixels of a block."""
        return min(2, self._tiles)

    @property
    def _downs(self) -> int:
        """Blocks along pixels."""
        return -(-self._tiles // self._height)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        panels = self.channels // WIDTH
        heights, widths = -(-self._downs // self.grid[0]), -(-panels // self.grid[1])
        down = (group[0] * heights, least(group[0] * heights + heights, self._downs))
        across = (group[1] * widths, least(group[1] * widths + widths, panels))
        rows_first = self._pixels >= MANY_ROWS
        outer, inner = (down, across) if rows_first else (across, down)
        with amx.configured() as sums, loop(*outer) as first, loop(*inner) as second:
            block, panel = (first, second) if rows_first else (second, first)
            places = self._places(least(block * self._height, self._tiles - self._height))
            self._multiply(places, panel * WIDTH, source, weights)
            amx.store(self._height, sums)
            for i, (y, x) in enumerate(places):
                pixel = y * self.window.outputs[1] + x
                own = sums.from_(i * ROWS * WIDTH)
                self._finish(pixel, panel * WIDTH, own, bias, target, others[0] if others else None)

    def _places(self, tile: Position) -> list[tuple[Position, Position]]:
        """(y, x) of the first output pixel of each tile of the block that begins with `tile`."""
        across, columns = self._across, self.window.outputs[1]
        last = max(columns - ROWS, 0)
        if across == 1:
            return [(tile + i, 0) for i in range(self._height)]
        if self.window.outputs[0] == 1:
            return [(0, least((tile + i) * ROWS, last)) for i in range(self._height)]
        return [((tile + i) // across, least((tile + i) % across * ROWS, last)) for i in range(self._height)]

    def _multiply(
        self, places: list[tuple[Position, Position]], channel: Position, source: Memory, weights: Memory
    ) -> None:
        (height, width), (down, right) = self.window.kernel, self.window.strides
        line = self.window.size[1] * self.depth
        taps = self._taps * self.depth
        panels = [weights.from_((channel + j * LANES) * taps) for j in range(2)]
        corners = [source.from_(y * (down * line) + x * (right * self.depth)) for y, x in places]
        amx.clear(self._height)
        with loop(0, height) as row, loop(0, width) as column, loop(0, self.depth, DEPTH) as k:
            tap = (row * width + column) * self.depth + k
            at = row * line + column * self.depth + k
            amx.multiply(
                [(corner, at) for corner in corners],
                right * self.depth,
                [(panel, tap * LANES) for panel in panels],
            )

    def _finish(
        self, pixel: Position, channel: Position, sums: Memory, bias: Memory, target: Memory, residual: Memory | None
    ) -> None:
        offsets = [bias.vector(channel + j * LANES, LANES) for j in range(2)]
        with loop(0, min(ROWS, self.window.outputs[1])) as r:
            for j, offset in enumerate(offsets):
                at = (pixel + r) * self.channels + channel + j * LANES
                result = activate(arith.addf(sums.vector(r * WIDTH + j * LANES, LANES), offset), self.activation)
                if residual is not None:
                    result = arith.addf(result, residual.vector(at, LANES))
                target.store(result, at)


def padded_window(window: Window) -> Window:
    """`window` on a map whose border has been added, wide enough for whole tiles of pixels."""
    (height, width), (top, bottom, left, right) = window.size, window.padding
    needed = (max(window.outputs[1], ROWS) - 1) * window.strides[1] + window.kernel[1]
    size = (top + height + bottom, max(left + width + right, needed))
    # Columns that only fill tiles are no part of the map: fewer than none pad it.
    return Window(size, window.kernel, window.strides, (0, 0, 0, left + width + right - size[1]))


@dataclass(frozen=True)
class PadMap:
    """A map inside a larger one of zeros. input [H, W, channels], output [*size, channels], both bfloat16."""

    window: Window
    size: tuple[int, int]
    channels: int

    @property
    def name(self) -> str:
        return f"pad_{self.size[0]}x{self.size[1]}x{self.channels}"

    @property
    def grid(self) -> Grid:
        return share(self.size[0]), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        height, width = self.window.size
        return (Buffer(height * width * self.channels, NAME),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size[0] * self.size[1] * self.channels, NAME),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = (memory.bits() for memory in memories)
        top, left = self.window.padding[0], self.window.padding[2]
        height, width = self.window.size
        rows = -(-self.size[0] // self.grid[0])
        low, high = group[0] * rows, least(group[0] * rows + rows, self.size[0])
        line, inside = self.size[1] * self.channels, width * self.channels
        empty = zeros(mlir.VectorType.get([DEPTH], mlir.Type.parse(BITS)))

        def fill(y: Position, start: int, end: int) -> None:
            if start < end:
                with loop(start, end, DEPTH) as at:
                    target.store(empty, y * line + at)

        for first, last in ((0, top), (top + height, self.size[0])):
            if first < last:
                with loop(greatest(low, first), least(high, last)) as y:
                    fill(y, 0, line)
        with loop(greatest(low, top), least(high, top + height)) as y:
            fill(y, 0, left * self.channels)
            with loop(0, inside, DEPTH) as at:
                values = source.vector((y - top) * inside + at, DEPTH)
                target.store(values, y * line + left * self.channels + at)
            fill(y, left * self.channels + inside, line)
