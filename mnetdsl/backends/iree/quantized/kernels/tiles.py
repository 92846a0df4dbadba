"""Convolutions of every kind but depthwise on bytes by AMX: blocks of two tiles of pixels times two of channels.

input [H, W, depth] with its padding inside, weights arranged by `tile_weights`, bias [N], table of `finish`, both in
the order of `tile_order`, output [OH, OW, N]. A row of the window lies in one piece and is taken 64 bytes a step; the
last step begins so that it ends with the row, and what it takes again has weights of 0. Tiles of pixels are alike: the
last ones of a row, or of a layer, compute some pixels again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels import amx
from mnetdsl.backends.iree.kernels.amx import BYTES, LANES, ROWS, WIDTH
from mnetdsl.backends.iree.kernels.blocking import WORKGROUPS, parts, share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, Position, least, loop
from mnetdsl.backends.iree.kernels.pointwise import MANY_ROWS
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.quantized.kernels.bytes import QUAD
from mnetdsl.backends.iree.quantized.kernels.finish import Finish
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish
from mnetdsl.backends.iree.quantized.kernels.store import TOGETHER, split

Array = NDArray[Any]
HEIGHT = 2
"""Tiles of pixels of a block."""
VECTORS = WIDTH // LANES
_GROUP = 4
"""Sums of a vector that stay beside each other where vectors are packed to bytes."""


@dataclass(frozen=True)
class ByteTiles:
    """`window` has no padding; the map has `size` bytes. A pointwise convolution has one row of all pixels."""

    window: Window
    depth: int
    channels: int
    size: int
    finish: Finish | FloatFinish
    workgroups: int = WORKGROUPS

    @property
    def name(self) -> str:
        (rows, columns), (height, width) = self.window.outputs, self.window.kernel
        kind = f"_{height}x{width}s{self.window.strides[0]}" if height * width > 1 else ""
        return f"bytes_tiles_{rows}x{columns}x{self.depth}x{self.channels}{kind}"

    @property
    def grid(self) -> Grid:
        """Workgroups along blocks of pixels and of channels."""
        if self.workgroups == 1:
            return 1, 1
        if self._pixels >= MANY_ROWS:
            return share(self._downs, self.workgroups), 1
        columns = share(self._panels, self.workgroups)
        return share(self._downs, max(1, self.workgroups // columns)), columns

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        steps = self.window.kernel[0] * self.steps * self.step
        return (
            Buffer(self.size, "i8"),
            Buffer(steps * self.channels, "i8"),
            Buffer(self.channels, "i32"),
            self.finish.buffer(self.channels),
        )

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self._pixels * self.channels, "i8"),)

    @property
    def step(self) -> int:
        """Bytes that a step takes of each pixel."""
        return min(BYTES, self.window.kernel[1] * self.depth)

    @property
    def steps(self) -> int:
        """Of a row of the window."""
        return -(-self.window.kernel[1] * self.depth // BYTES)

    @property
    def rows(self) -> int:
        """Pixels of a tile."""
        return -(-self.window.outputs[1] // self._across)

    @property
    def _pixels(self) -> int:
        return self.window.outputs[0] * self.window.outputs[1]

    @property
    def _across(self) -> int:
        """Tiles of an output row; of a layer that is one row a whole number of blocks."""
        tiles = -(-self.window.outputs[1] // ROWS)
        return -(-tiles // HEIGHT) * HEIGHT if self.window.outputs[0] == 1 else tiles

    @property
    def _tiles(self) -> int:
        return self.window.outputs[0] * self._across

    @property
    def _downs(self) -> int:
        """Blocks along pixels."""
        return -(-self._tiles // HEIGHT)

    @property
    def _panels(self) -> int:
        return -(-self.channels // WIDTH)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        heights, widths = -(-self._downs // self.grid[0]), -(-self._panels // self.grid[1]) * VECTORS
        down = (group[0] * heights, least(group[0] * heights + heights, self._downs))
        total = self.channels // LANES
        first = group[1] * widths
        panels = parts(first, least(first + widths, total), VECTORS, total)
        with amx.configured("i32", self.rows, self.step) as sums:
            if self._pixels >= MANY_ROWS:
                with loop(*down) as block:
                    for vectors, left, right in panels:
                        with loop(left, right, vectors) as across:
                            self._block(block, across, vectors, sums, *memories)
            else:
                for vectors, left, right in panels:
                    with loop(left, right, vectors) as across, loop(*down) as block:
                        self._block(block, across, vectors, sums, *memories)

    def _block(
        self,
        block: Position,
        across: Position,
        vectors: int,
        sums: Memory,
        source: Memory,
        weights: Memory,
        bias: Memory,
        table: Memory,
        target: Memory,
    ) -> None:
        channel = across * LANES
        places = self._places(least(block * HEIGHT, self._tiles - HEIGHT))
        self._multiply(places, channel, vectors, source, weights, bias)
        amx.store(HEIGHT, sums, self.rows, vectors)
        loaded = [self.finish.load(table, channel + j * LANES, LANES) for j in range(vectors)]
        pixels = [y * self.window.outputs[1] + x for y, x in places]
        with loop(0, self.rows) as r:
            numbers = [
                self.finish.numbers(sums.vector((r + i * self.rows) * WIDTH + j * LANES, LANES), loaded[j])
                for i in range(HEIGHT)
                for j in range(vectors)
            ]
            bytes = self.finish.packed(numbers if vectors == VECTORS else numbers * 2)
            runs = split(bytes, TOGETHER // vectors)
            for pixel, kept in zip(pixels, runs, strict=False):
                target.store(kept, (pixel + r) * self.channels + channel)

    def _places(self, tile: Position) -> list[tuple[Position, Position]]:
        """(y, x) of the first output pixel of each tile of the block that begins with `tile`."""
        across, last = self._across, self.window.outputs[1] - self.rows
        if across == 1:
            return [(tile + i, 0) for i in range(HEIGHT)]
        if self.window.outputs[0] == 1:
            return [(0, least((tile + i) * self.rows, last)) for i in range(HEIGHT)]
        return [((tile + i) // across, least((tile + i) % across * self.rows, last)) for i in range(HEIGHT)]

    def _multiply(
        self,
        places: list[tuple[Position, Position]],
        channel: Position,
        vectors: int,
        source: Memory,
        weights: Memory,
        bias: Memory,
    ) -> None:
        (height, width), (down, right) = self.window.kernel, self.window.strides
        line, run = self.window.size[1] * self.depth, width * self.depth
        corners = [source.from_(y * (down * line) + x * (right * self.depth)) for y, x in places]
        panel = weights.from_(channel * (height * self.steps * self.step))
        tile = self.step * LANES
        amx.begin(bias, channel, HEIGHT, vectors)
        with loop(0, height) as row, loop(0, self.steps) as k:
            at = row * line + least(k * self.step, run - self.step)
            tap = (row * self.steps + k) * (vectors * tile)
            amx.multiply_bytes(
                [(corner, at) for corner in corners],
                right * self.depth,
                [(panel, tap + j * tile) for j in range(vectors)],
            )


def tile_order(channels: int) -> NDArray[np.int64]:
    """The channel of each sum: in panels of two vectors so that their packed bytes are in order."""
    panel = np.arange(WIDTH).reshape(LANES // _GROUP, VECTORS, _GROUP).transpose(1, 0, 2).reshape(-1)
    whole = channels // WIDTH * WIDTH
    panels = (np.arange(0, whole, WIDTH)[:, None] + panel).reshape(-1)
    return np.concatenate([panels, np.arange(whole, channels)])


def tile_weights(filter: Array, step: int) -> NDArray[np.int8]:
    """[KH, bytes of a row of the window, N] as [panel][KH][steps][vectors][step / 4][16][4], N in `tile_order`."""
    height, run, channels = filter.shape
    starts = [min(k, run - step) for k in range(0, run, BYTES)]
    taken = [filter[:, start : start + step].copy() for start in starts]
    if len(starts) > 1:
        taken[-1][:, : (len(starts) - 1) * BYTES - starts[-1]] = 0
    steps = np.stack(taken, axis=1)[..., tile_order(channels)].astype(np.int8)
    tiles = steps.reshape(height, len(starts), step // QUAD, QUAD, channels // LANES, LANES).transpose(4, 0, 1, 2, 5, 3)
    cuts = range(VECTORS, channels // LANES, VECTORS)
    panels = np.split(tiles, cuts)
    return np.concatenate([np.ascontiguousarray(panel.transpose(1, 2, 0, 3, 4, 5)).reshape(-1) for panel in panels])
