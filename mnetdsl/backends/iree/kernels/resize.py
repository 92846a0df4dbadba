"""Maps in another size: pixels read at positions that tables hold, one table an axis; lanes are channels.

input [H, W, C], output [OH, OW, C]; C is a multiple of the lanes.
"""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Index, Memory, MlirValue, Position, least, loop, multiply_add

Size = tuple[int, int]


@dataclass(frozen=True)
class _Resize:
    before: Size
    after: Size
    channels: int
    lanes: int

    @property
    def grid(self) -> Grid:
        return share(self.after[0]), 1

    @property
    def source(self) -> Buffer:
        return Buffer(self.before[0] * self.before[1] * self.channels)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.after[0] * self.after[1] * self.channels),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, *tables, target = memories
        rows = -(-self.after[0] // self.grid[0])
        first = group[0] * rows
        with loop(first, least(first + rows, self.after[0])) as y:
            self.emit_row(y, source, tables, target.from_(y * (self.after[1] * self.channels)))

    def emit_row(self, y: Position, source: Memory, tables: list[Memory], target: Memory) -> None:
        raise NotImplementedError

    def row(self, source: Memory, y: Position) -> Memory:
        return source.from_(y * (self.before[1] * self.channels))


@dataclass(frozen=True)
class Nearest(_Resize):
    """Beside the input: the row and the column that each of the output copies, i32 [OH], [OW]."""

    @property
    def name(self) -> str:
        return f"resize_nearest_{self.after[0]}x{self.after[1]}x{self.channels}"

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (self.source, Buffer(self.after[0], "i32"), Buffer(self.after[1], "i32"))

    def emit_row(self, y: Position, source: Memory, tables: list[Memory], target: Memory) -> None:
        rows, columns = tables
        line = self.row(source, _index(rows, y))
        with loop(0, self.after[1]) as x:
            pixel = line.from_(_index(columns, x) * self.channels)
            with loop(0, self.channels, self.lanes) as channel:
                target.store(pixel.vector(channel, self.lanes), x * self.channels + channel)


@dataclass(frozen=True)
class Bilinear(_Resize):
    """Beside the input, of each axis: the lower and the upper pixel that a position reads, i32 [OH, 2], [OW, 2], and
    what each of them weighs, f32 [OH, 2], [OW, 2]."""

    @property
    def name(self) -> str:
        return f"resize_bilinear_{self.after[0]}x{self.after[1]}x{self.channels}"

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        rows, columns = (2 * size for size in self.after)
        return (self.source, Buffer(rows, "i32"), Buffer(columns, "i32"), Buffer(rows), Buffer(columns))

    def emit_row(self, y: Position, source: Memory, tables: list[Memory], target: Memory) -> None:
        rows, columns, down, across = tables
        lines = [self.row(source, _index(rows, y * 2 + i)) for i in range(2)]
        heights = [down.spread(y * 2 + i, self.lanes) for i in range(2)]
        with loop(0, self.after[1]) as x:
            places = [_index(columns, x * 2 + i) * self.channels for i in range(2)]
            widths = [across.spread(x * 2 + i, self.lanes) for i in range(2)]
            with loop(0, self.channels, self.lanes) as channel:

                def column(i: int, channel: Position = channel, places: list[Index] = places) -> MlirValue:
                    top, bottom = (line.vector(places[i] + channel, self.lanes) for line in lines)
                    return multiply_add(bottom, heights[1], arith.mulf(top, heights[0]))

                value = multiply_add(column(1), widths[1], arith.mulf(column(0), widths[0]))
                target.store(value, x * self.channels + channel)


def _index(table: Memory, at: Position) -> Index:
    return Index(arith.index_cast(mlir.IndexType.get(), table.scalar(at)))
