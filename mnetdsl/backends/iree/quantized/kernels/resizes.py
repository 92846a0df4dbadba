"""Maps of bytes in another size: lanes are channels.

input [H, W, C], tables of the rows and of the columns, output [OH, OW, C]
"""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, math

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Index, Memory, MlirValue, Position, filled, least, loop, spread
from mnetdsl.backends.iree.quantized.kernels.bytes import splat, vector_of, widened
from mnetdsl.backends.iree.quantized.kernels.frames import pieces
from mnetdsl.numerics.resize import FRACTION_BITS

Size = tuple[int, int]
_SHIFT = 2 * FRACTION_BITS
_HALF_RANGE = 128
_PARTS = 4
"""Of an axis' table: lower and upper place, and what each weighs."""


@dataclass(frozen=True)
class ByteResize:
    """`pitch` bytes a pixel, from `size` to `result`. `method`: `nearest`, whose tables [size] say what is copied; or
    tables [4, size] of the lower and the upper place and what each weighs, `signed` in 1024ths, `unsigned` as float32.
    """

    method: str
    size: Size
    result: Size
    pitch: int
    lanes: int

    @property
    def name(self) -> str:
        rows, columns = self.result
        return f"bytes_resize_{self.method}_{rows}x{columns}x{self.pitch}"

    @property
    def grid(self) -> Grid:
        return share(self.result[0]), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        parts = 1 if self.method == "nearest" else _PARTS
        tables = (Buffer(parts * size, "i32") for size in self.result)
        return (Buffer(self.size[0] * self.size[1] * self.pitch, "i8"), *tables)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.result[0] * self.result[1] * self.pitch, "i8"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, rows, columns, target = memories
        height, width = self.result
        each = -(-height // self.grid[0])
        with (
            loop(group[0] * each, least(group[0] * each + each, height)) as y,
            loop(0, width) as x,
        ):
            to = target.from_((y * width + x) * self.pitch)
            if self.method == "nearest":
                self._copy(source.from_(self._at(_index(rows.scalar(y)), _index(columns.scalar(x)))), to)
            else:
                self._mix(source, (rows, y, height), (columns, x, width), to)

    def _at(self, row: Index, column: Index) -> Position:
        return row * (self.size[1] * self.pitch) + column * self.pitch

    def _copy(self, pixel: Memory, target: Memory) -> None:
        for start, end, size in pieces(self.pitch):
            with loop(start, end, size) as at:
                target.store(pixel.vector(at, size), at)

    def _mix(
        self, source: Memory, row: tuple[Memory, Position, int], column: tuple[Memory, Position, int], target: Memory
    ) -> None:
        (top, bottom, up, down), (left, right, back, across) = (
            tuple(table.scalar(place + part * size) for part in range(_PARTS)) for table, place, size in (row, column)
        )
        corners = (
            (top, left, up, back),
            (bottom, left, down, back),
            (top, right, up, across),
            (bottom, right, down, across),
        )
        pixels = [source.from_(self._at(_index(y), _index(x))) for y, x, _, _ in corners]
        weights = [(first, second) for _, _, first, second in corners]
        mix = self._whole if self.method == "signed" else self._real
        with loop(0, self.pitch, self.lanes) as channel:
            numbers = [widened(pixel.vector(channel, self.lanes)) for pixel in pixels]
            target.store(arith.trunci(vector_of(self.lanes, 8), mix(numbers, weights)), channel)

    def _whole(self, numbers: list[MlirValue], weights: list[tuple[MlirValue, MlirValue]]) -> MlirValue:
        """In 1024ths of both axes, a half of a signed number away from zero."""
        type = vector_of(self.lanes, 32)
        total = splat(0, type)
        for number, (row, column) in zip(numbers, weights, strict=True):
            q = arith.subi(number, splat(_HALF_RANGE, type))
            total = arith.addi(total, arith.muli(q, spread(arith.muli(row, column), self.lanes)))
        sign = arith.shrsi(total, splat(31, type))
        size = arith.addi(arith.subi(arith.xori(total, sign), sign), splat(1 << (_SHIFT - 1), type))
        whole = arith.shrsi(size, splat(_SHIFT, type))
        return arith.addi(arith.subi(arith.xori(whole, sign), sign), splat(_HALF_RANGE, type))

    def _real(self, numbers: list[MlirValue], weights: list[tuple[MlirValue, MlirValue]]) -> MlirValue:
        """In float32, each product rounded before it is added: the comparison, which changes nothing, keeps the
        compiler from making one instruction of both."""
        floats = mlir.VectorType.get([self.lanes], mlir.F32Type.get())
        lowest = filled(-3.0e38, floats)
        total = None
        for number, pair in zip(numbers, weights, strict=True):
            row, column = (spread(arith.bitcast(mlir.F32Type.get(), bits), self.lanes) for bits in pair)
            product = arith.mulf(arith.mulf(arith.sitofp(floats, number), row), column)
            kept = arith.select(arith.cmpf(arith.CmpFPredicate.OGT, product, lowest), product, lowest)
            total = kept if total is None else arith.addf(total, kept)
        return arith.fptosi(vector_of(self.lanes, 32), math.floor(arith.addf(total, filled(0.5, floats))))


def _index(place: MlirValue) -> Index:
    return Index(arith.index_cast(mlir.IndexType.get(), place))
