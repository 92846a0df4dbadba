"""Depthwise convolution on bytes: lanes are channels, and the four depths of a lane are four rows of the window.

input [H, W, C], weights [cases][KH / 4][parts][instructions][KW][C][rows of each], bias [cases][C], table of `finish`,
output [OH, OW, C]

A window over the upper or lower edge of the map is a case of its own: its rows outside have weights of 0, so that any
row may be read in their place. Columns outside are the border, as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.depthwise import MANY_ROWS
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.isa import ByteIsa
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, greatest, least, loop
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.quantized.kernels.bytes import (
    QUAD,
    border_column,
    column,
    dot,
    ordered,
    weight_type,
)
from mnetdsl.backends.iree.quantized.kernels.finish import Finish
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish
from mnetdsl.backends.iree.quantized.kernels.store import store_bytes


@dataclass(frozen=True)
class ByteDepthwise:
    """`window` reaches from the first to the last of its places, which are `dilations` apart."""

    window: Window
    channels: int
    isa: ByteIsa
    strip: int
    border: int
    finish: Finish | FloatFinish
    parts: int = 1
    dilations: tuple[int, int] = (1, 1)

    @property
    def name(self) -> str:
        (rows, columns), (height, width) = self.window.outputs, self.taps
        dilated = f"d{self.dilations[0]}" if self.dilations != (1, 1) else ""
        return f"bytes_depthwise_{rows}x{columns}x{self.channels}_{height}x{width}s{self.window.strides[0]}{dilated}"

    @property
    def taps(self) -> tuple[int, int]:
        """Rows and columns of the filter."""
        rows, columns = (
            (size - 1) // dilation + 1 for size, dilation in zip(self.window.kernel, self.dilations, strict=True)
        )
        return rows, columns

    @property
    def groups(self) -> int:
        return -(-self.taps[0] // QUAD)

    @property
    def edges(self) -> tuple[int, int]:
        """Output rows, from the top and from the bottom, whose window reaches over an edge."""
        return edges(self.window)

    @property
    def cases(self) -> int:
        return sum(self.edges) + 1

    @property
    def grid(self) -> Grid:
        """Workgroups along rows and channels."""
        rows, vectors = self.window.outputs[0], self.channels // self.isa.lanes
        return (share(rows), 1) if rows >= MANY_ROWS else (1, share(vectors))

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        height, width = self.window.size
        taps = self.groups * self.parts * self.taps[1] * QUAD
        return (
            Buffer(height * width * self.channels, "i8"),
            Buffer(self.cases * taps * self.channels, weight_type(self.isa)),
            Buffer(self.cases * self.channels, "i32"),
            self.finish.buffer(self.channels),
        )

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        rows, columns = self.window.outputs
        return (Buffer(rows * columns * self.channels, "i8"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        rows = self.window.outputs[0]
        height = -(-rows // self.grid[0])
        width = -(-(self.channels // self.isa.lanes) // self.grid[1]) * self.isa.lanes
        top, first = group[0] * height, group[1] * width
        self._emit(top, least(top + height, rows), (first, least(first + width, self.channels)), *memories)

    def emit_rows(self, low: Position, high: Position, *memories: Memory) -> None:
        """The rows from `low` to below `high`; memories begin with row 0 of their maps, whether it is there or not."""
        self._emit(low, high, (0, self.channels), *memories)

    def _emit(self, top: Position, bottom: Position, channels: tuple[Position, Position], *memories: Memory) -> None:
        rows = self.window.outputs[0]
        upper, lower = self.edges
        with loop(top, bottom) as y:
            case = least(y, upper) + greatest(y - (rows - 1 - lower), 0)
            with loop(*channels, self.isa.lanes) as channel:
                for start, end, size in self.window.strips(self.strip):
                    with loop(start, end, size) as x:
                        self._strip(y, case, x, size, channel, *memories)

    def _strip(
        self,
        y: Position,
        case: Position,
        x: Position,
        size: int,
        channel: Position,
        source: Memory,
        weights: Memory,
        bias: Memory,
        table: Memory,
        target: Memory,
    ) -> None:
        window, isa, pitch = self.window, self.isa, self.channels
        lanes, depths = isa.lanes, len(isa.order[0])
        height, stride = window.size[0], window.strides[1]
        columns, (down, across) = self.taps[1], self.dilations
        places = range(0, columns * across, across)
        first = y * window.strides[0] - window.padding[0]
        sums = [bias.vector(case * pitch + channel, lanes)] * size
        for group in range(self.groups):
            lines = [
                source.from_(least(greatest(first + row * down, 0), height - 1) * (window.size[1] * pitch) + channel)
                for row in range(group * QUAD, min((group + 1) * QUAD, self.taps[0]))
            ]
            slots = self.parts * len(isa.order)
            row = columns * depths * pitch
            taps = weights.from_((case * self.groups + group) * (slots * row) + channel * depths)
            factors = [
                [taps.vector(slot * row + k * (depths * pitch), depths * lanes) for k in range(columns)]
                for slot in range(slots)
            ]
            for offset in range((size - 1) * stride + window.kernel[1]):
                readers = [output for output in range(size) if offset - output * stride in places]
                if not readers:
                    continue
                values = self._column(lines, window.column(x, offset))
                for slot, factor in enumerate(factors):
                    numbers = values[slot % len(isa.order)]
                    for output in readers if numbers is not None else []:
                        sums[output] = dot(isa, sums[output], numbers, factor[(offset - output * stride) // across])
        loaded = self.finish.load(table, channel, lanes)
        targets = [(y * window.outputs[1] + x + output) * pitch + channel for output in range(size)]
        store_bytes(self.finish, target, sums, [loaded] * size, targets)

    def _column(self, lines: list[Memory], at: Position | None) -> list[MlirValue | None]:
        """Up to four rows of a column, as `bytes.column`."""
        if at is None:
            return border_column(self.isa, self.border, len(lines))
        return column(self.isa, [line.vector(at * self.channels, self.isa.lanes) for line in lines])


def edges(window: Window) -> tuple[int, int]:
    rows, stride = window.outputs[0], window.strides[0]
    starts = np.arange(rows) * stride - window.padding[0]
    upper, lower = int((starts < 0).sum()), int((starts + window.kernel[0] > window.size[0]).sum())
    # Where a window reaches over both edges, each row is a case of its own.
    return (upper, lower) if upper + lower < rows else (rows, 0)


def depthwise_cases(
    isa: ByteIsa, window: Window, filter: NDArray[np.int16], border: int, dilation: int = 1
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The packed weights of filter [parts, KH, KW, C], its rows `dilation` apart, and [cases, C]: the border times each
    case's weights."""
    parts, height, width, channels = filter.shape
    rows = window.outputs[0]
    upper, lower = edges(window)
    groups = -(-height // QUAD)
    found, sums = [], []
    for y in (*range(upper), upper, *range(rows - lower, rows)):
        first = y * window.strides[0] - window.padding[0]
        lines = np.arange(height) * dilation + first
        inside = (lines >= 0) & (lines < window.size[0])
        taps = filter * inside[:, None, None]
        padded = np.pad(taps, [(0, 0), (0, groups * QUAD - height), (0, 0), (0, 0)])
        split = ordered(isa, padded.reshape(parts, groups, QUAD, width, channels), axis=2)
        found.append(split.transpose(1, 0, 2, 4, 5, 3))
        sums.append(taps.astype(np.int64).sum(axis=(0, 1, 2)) * border)
    return np.stack(found), np.stack(sums)


def choose_strip(registers: int, window: Window) -> int:
    """Output pixels of a strip: as many sums as registers hold beside the taps, in equal strips where possible."""
    columns = window.outputs[1]
    most = min(max(registers - window.kernel[1] - 12, registers // 2 - 1), 14)
    return -(-columns // -(-columns // most))
