"""Convolution with a window on bytes, direct: a row of the window lies in one piece, taken four bytes a step.

input [H, W, I] with its padding inside and room behind, weights packed as in `pointwise`, of [KH][steps] quads, bias
[O], table of `finish`, output [OH, OW, O]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.blocking import WORKGROUPS, Block, parts, share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.isa import ByteIsa
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least, loop
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.quantized.kernels.bytes import QUAD, multiplied, operands, weight_type
from mnetdsl.backends.iree.quantized.kernels.finish import Finish
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish
from mnetdsl.backends.iree.quantized.kernels.store import store_bytes


@dataclass(frozen=True)
class ByteConvolution:
    """`window` has no padding; the map has `size` bytes."""

    window: Window
    depth: int
    channels: int
    size: int
    isa: ByteIsa
    block: Block
    finish: Finish | FloatFinish
    parts: int = 1
    workgroups: int = WORKGROUPS

    @property
    def name(self) -> str:
        (rows, columns), (height, width) = self.window.outputs, self.window.kernel
        return f"bytes_convolution_{rows}x{columns}x{self.depth}x{self.channels}_{height}x{width}"

    @property
    def steps(self) -> int:
        """Of a row of the window; the bytes of the last one behind it have weights of 0."""
        return -(-self.window.kernel[1] * self.depth // QUAD)

    @property
    def grid(self) -> Grid:
        """Workgroups along rows and panels."""
        rows = share(self.window.outputs[0], self.workgroups)
        return rows, min(self._panels, max(1, self.workgroups // rows))

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (
            Buffer(self.size, "i8"),
            Buffer(self.window.kernel[0] * self.steps * self.parts * QUAD * self.channels, weight_type(self.isa)),
            Buffer(self.channels, "i32"),
            self.finish.buffer(self.channels),
        )

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        rows, columns = self.window.outputs
        return (Buffer(rows * columns * self.channels, "i8"),)

    @property
    def _panels(self) -> int:
        return -(-self.channels // (self.block.vectors * self.isa.lanes))

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        rows, columns = self.window.outputs
        height = -(-rows // self.grid[0])
        width = -(-self._panels // self.grid[1]) * self.block.vectors
        top, first = group[0] * height, group[1] * width
        total = self.channels // self.isa.lanes
        with loop(top, least(top + height, rows)) as y:
            for vectors, left, right in parts(first, least(first + width, total), self.block.vectors, total):
                with loop(left, right, vectors) as across:
                    for strip, start, end in parts(0, columns, self.block.rows, columns):
                        with loop(start, end, strip) as x:
                            self._strip(y, x, strip, across, vectors, *memories)

    def _strip(
        self,
        y: Position,
        x: Position,
        outputs: int,
        across: Position,
        vectors: int,
        source: Memory,
        weights: Memory,
        bias: Memory,
        table: Memory,
        target: Memory,
    ) -> None:
        isa, lanes, window = self.isa, self.isa.lanes, self.window
        channel = across * lanes
        pitch = window.size[1] * self.depth
        panel = weights.from_(channel * (window.kernel[0] * self.steps * self.parts * QUAD))
        depths = len(isa.order[0])
        span = vectors * lanes * depths
        slots = self.parts * len(isa.order)
        apart = window.strides[1] * self.depth

        def row(ky: Position, sums: list[MlirValue]) -> list[MlirValue]:
            line = source.from_((y * window.strides[0] + ky) * pitch + x * apart)
            taps = panel.from_(ky * (self.steps * slots * span))

            def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
                values = [operands(isa, line, k * QUAD + output * apart)[0] for output in range(outputs)]
                at = k * slots * span
                factors = [taps.vector(at + j * (lanes * depths), lanes * depths) for j in range(slots * vectors)]
                return multiplied(isa, sums, values, factors)

            return accumulate(0, self.steps, sums, step)

        initial = [bias.vector(channel + j * lanes, lanes) for j in range(vectors)] * outputs
        sums = accumulate(0, window.kernel[0], initial, row)
        loaded = [self.finish.load(table, channel + j * lanes, lanes) for j in range(vectors)]
        pixel = y * window.outputs[1] + x
        places = [(pixel + i // vectors) * self.channels + channel + i % vectors * lanes for i in range(len(sums))]
        store_bytes(self.finish, target, sums, loaded * outputs, places)


def window_quads(filter: NDArray[np.int16], steps: int) -> NDArray[np.int16]:
    """[parts, KH, KW, I, O] as matrices [parts, KH * steps * 4, O], whose rows behind each row of the window are 0."""
    parts, height, width, depth, outputs = filter.shape
    rows = filter.reshape(parts, height, width * depth, outputs)
    padded = np.pad(rows, [(0, 0), (0, 0), (0, steps * QUAD - width * depth), (0, 0)])
    return padded.reshape(parts, -1, outputs)
