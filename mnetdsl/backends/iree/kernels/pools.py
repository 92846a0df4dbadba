"""Pools with a window: lanes are channels, a strip of output pixels is reduced in registers.

input [H, W, C], output [OH, OW, C]; C is a multiple of the lanes. Pixels outside of the map are left out, neither
compared nor counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import (
    Memory,
    MlirValue,
    Position,
    Rows,
    accumulate,
    as_value,
    filled,
    least,
    loop,
    minus,
    spread,
    vector_type,
)
from mnetdsl.backends.iree.kernels.window import Window

STRIP = 4
"""Output pixels: as many independent chains as hide most of an addition's latency."""


@dataclass(frozen=True)
class Pool:
    """`operation`: "max_pool", where NaN stays NaN, or "avg_pool"."""

    operation: str
    window: Window
    channels: int
    lanes: int

    @property
    def name(self) -> str:
        (rows, columns), (height, width) = self.window.outputs, self.window.kernel
        return f"{self.operation}_{rows}x{columns}x{self.channels}_{height}x{width}s{self.window.strides[0]}"

    @property
    def grid(self) -> Grid:
        """Workgroups along rows and channels."""
        rows = share(self.window.outputs[0])
        return rows, share(self.channels // self.lanes, max(1, 4 // rows))

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        height, width = self.window.size
        return (Buffer(height * width * self.channels),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        rows, columns = self.window.outputs
        return (Buffer(rows * columns * self.channels),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        rows, columns = self.window.outputs
        height = -(-rows // self.grid[0])
        width = -(-(self.channels // self.lanes) // self.grid[1]) * self.lanes
        top, first = group[0] * height, group[1] * width
        channels = (first, least(first + width, self.channels))
        origin = Rows(source, self.window.size[1] * self.channels)
        with loop(top, least(top + height, rows)) as y:
            line = target.from_(y * (columns * self.channels))
            for start, end, size in self.window.strips(STRIP):
                with loop(start, end, size) as x, loop(*channels, self.lanes) as channel:
                    for output, value in enumerate(self._strip(y, x, size, channel, origin)):
                        line.store(value, (x + output) * self.channels + channel)

    def _strip(self, y: Position, x: Position, size: int, channel: Position, source: Rows) -> list[MlirValue]:
        window, type = self.window, vector_type(self.lanes)
        low, high, first = window.rows(y)
        largest = self.operation == "max_pool"
        combine = arith.maximumf if largest else arith.addf
        columns = [
            [window.column(x, output * window.strides[1] + k) for k in range(window.kernel[1])]
            for output in range(size)
        ]

        def tap(row: Position, values: list[MlirValue]) -> list[MlirValue]:
            line = source.row(first + row).from_(channel)
            for output, inside in enumerate(columns):
                for column in inside:
                    if column is not None:
                        pixel = line.vector(column * self.channels, self.lanes)
                        values[output] = combine(values[output], pixel)
            return values

        start = filled(float("-inf") if largest else 0.0, type)
        values = accumulate(low, high, [start] * size, tap)
        if largest:
            return values
        rows = high - low if isinstance(high, int) and isinstance(low, int) else _difference(high, low)
        counts = [sum(column is not None for column in inside) for inside in columns]
        return [arith.divf(value, self._count(rows, count)) for value, count in zip(values, counts, strict=True)]

    def _count(self, rows: Position, columns: int) -> MlirValue:
        """Pixels inside, in all lanes."""
        if isinstance(rows, int):
            return filled(float(rows * columns), vector_type(self.lanes))
        word = arith.index_cast(mlir.IntegerType.get_signless(32), as_value(rows * columns))
        return spread(arith.sitofp(mlir.F32Type.get(), word), self.lanes)


def _difference(high: Position, low: Position) -> Position:
    return minus(high, low) if isinstance(high, int) else high - low
