"""Kernels on bytes that read rows or windows of a map whole: the largest's place, the largest, shares of softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, vector

from mnetdsl.backends.iree.integers import WIDE, divided, i32
from mnetdsl.backends.iree.kernels.blocking import share as workgroups
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import (
    Index,
    Memory,
    MlirValue,
    Position,
    accumulate,
    greatest,
    least,
    loop,
    minus,
)
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.quantized.kernels.bytes import splat, vector_of, widened
from mnetdsl.backends.iree.quantized.softmax import reciprocal, share
from mnetdsl.backends.iree.tensors import number
from mnetdsl.numerics.softmax import ENTRIES, SUM_BITS

_NOWHERE = 2**31 - 1


@dataclass(frozen=True)
class ByteArgmax:
    """The first of a pixel's largest channels. input [pixels, pitch], output [pixels] i32"""

    pixels: int
    pitch: int
    channels: int
    lanes: int

    @property
    def name(self) -> str:
        return f"bytes_argmax_{self.pixels}x{self.channels}"

    @property
    def grid(self) -> Grid:
        return workgroups(self.pixels), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.pixels * self.pitch, "i8"),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.pixels, "i32"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        each = -(-self.pixels // self.grid[0])
        with loop(group[0] * each, least(group[0] * each + each, self.pixels)) as pixel:
            target.store_scalar(self._place(source.from_(pixel * self.pitch)), pixel)

    def _place(self, pixel: Memory) -> MlirValue:
        type = vector_of(self.lanes, 32)
        lanes = np.arange(self.lanes, dtype=np.int32)
        whole = self.channels // self.lanes * self.lanes

        def step(channel: Position, found: list[MlirValue], valid: int) -> list[MlirValue]:
            """The largest numbers so far, and where each stood first."""
            numbers = widened(pixel.vector(channel, self.lanes))
            if valid < self.lanes:
                numbers = arith.maxsi(
                    arith.ori(numbers, _numbers(np.where(lanes < valid, 0, -1), type)), splat(-1, type)
                )
            above = arith.cmpi(arith.CmpIPredicate.sgt, numbers, found[0])
            first = arith.index_cast(i32(), _value(channel))
            places = arith.addi(_spread(first, type), _numbers(lanes, type))
            return [arith.maxsi(found[0], numbers), arith.select(above, places, found[1])]

        found = [splat(-1, type), splat(_NOWHERE, type)]
        if whole:
            found = accumulate(0, whole, found, lambda at, found: step(at, found, self.lanes), self.lanes)
        if whole < self.channels:
            found = step(whole, found, self.channels - whole)
        largest = _reduced("maxsi", found[0])
        there = arith.cmpi(arith.CmpIPredicate.eq, found[0], _spread(largest, type))
        return _reduced("minsi", arith.select(there, found[1], splat(_NOWHERE, type)))


@dataclass(frozen=True)
class ByteMaxPool:
    """The largest of the window's pixels inside of the map. input [H, W, C], output [OH, OW, C]"""

    window: Window
    channels: int
    lanes: int

    @property
    def name(self) -> str:
        (rows, columns), (height, width) = self.window.outputs, self.window.kernel
        return f"bytes_max_pool_{rows}x{columns}x{self.channels}_{height}x{width}"

    @property
    def grid(self) -> Grid:
        return workgroups(self.window.outputs[0]), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.window.size[0] * self.window.size[1] * self.channels, "i8"),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        rows, columns = self.window.outputs
        return (Buffer(rows * columns * self.channels, "i8"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        rows, columns = self.window.outputs
        each = -(-rows // self.grid[0])
        with (
            loop(group[0] * each, least(group[0] * each + each, rows)) as y,
            loop(0, columns) as x,
            loop(0, self.channels, self.lanes) as channel,
        ):
            at = (y * columns + x) * self.channels + channel
            target.store(self._largest(source.from_(channel), y, x), at)

    def _largest(self, source: Memory, y: Position, x: Position) -> MlirValue:
        (top, left), (low, high), (near, far) = self._origin(y, x), self._inside(y, 0), self._inside(x, 1)

        def row(ky: Position, found: list[MlirValue]) -> list[MlirValue]:
            line = (ky + top) * self.window.size[1]

            def column(kx: Position, found: list[MlirValue]) -> list[MlirValue]:
                bytes = source.vector((line + (kx + left)) * self.channels, self.lanes)
                return [arith.maxui(found[0], bytes)]

            return accumulate(near, far, found, column)

        (found,) = accumulate(low, high, [splat(0, vector_of(self.lanes, 8))], row)
        return found

    def _origin(self, y: Position, x: Position) -> tuple[Position, Position]:
        strides, padding = self.window.strides, self.window.padding
        return y * strides[0] - padding[0], x * strides[1] - padding[2]

    def _inside(self, place: Position, axis: int) -> tuple[Position, Position]:
        """The window's rows, or columns, inside of the map."""
        first = place * self.window.strides[axis] - self.window.padding[2 * axis]
        return greatest(minus(0, first), 0), least(minus(self.window.size[axis], first), self.window.kernel[axis])


@dataclass(frozen=True)
class ByteSoftmax:
    """A row at a time. input [rows, pitch], powers [256] i32 by the distance to the largest number, `stored` [256]: a
    share in 256ths as an unsigned byte, output [rows, pitch]. `numerics.softmax`."""

    rows: int
    pitch: int
    channels: int

    @property
    def name(self) -> str:
        return f"bytes_softmax_{self.rows}x{self.channels}"

    @property
    def grid(self) -> Grid:
        return workgroups(self.rows), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.pitch, "i8"), Buffer(ENTRIES, "i32"), Buffer(ENTRIES, "i8"))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.pitch, "i8"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, powers, stored, target = memories
        each = -(-self.rows // self.grid[0])
        with loop(group[0] * each, least(group[0] * each + each, self.rows)) as row:
            self._row(source.from_(row * self.pitch), powers, stored, target.from_(row * self.pitch))

    def _row(self, source: Memory, powers: Memory, stored: Memory, target: Memory) -> None:
        def byte(channel: Position) -> MlirValue:
            return arith.extui(i32(), source.scalar(channel))

        def larger(channel: Position, found: list[MlirValue]) -> list[MlirValue]:
            return [arith.maxsi(found[0], byte(channel))]

        (largest,) = accumulate(0, self.channels, [number(0, i32())], larger)

        def power(channel: Position) -> MlirValue:
            return powers.scalar(_index(arith.subi(largest, byte(channel))))

        def added(channel: Position, total: list[MlirValue]) -> list[MlirValue]:
            return [arith.addi(total[0], divided(power(channel), number(SUM_BITS, i32())))]

        (total,) = accumulate(0, self.channels, [number(0, i32())], added)
        factor = reciprocal(WIDE, total)
        with loop(0, self.channels) as channel:
            found = share(WIDE, power(channel), total, factor)
            bounded = arith.minsi(arith.maxsi(found, number(0, i32())), number(ENTRIES - 1, i32()))
            target.store_scalar(stored.scalar(_index(bounded)), channel)


def _numbers(array: Any, type: Any) -> MlirValue:
    attribute = mlir.DenseElementsAttr.get(np.asarray(array, np.int32), type=type)
    return arith.constant(type, attribute)


def _spread(value: MlirValue, type: Any) -> MlirValue:
    return vector.BroadcastOp(type, value).result


def _reduced(kind: str, value: MlirValue) -> MlirValue:
    return vector.reduction(i32(), mlir.Attribute.parse(f"#vector.kind<{kind}>"), value)


def _value(at: Position) -> MlirValue:
    index = mlir.IndexType.get()
    if isinstance(at, int):
        return arith.constant(index, at)
    return arith.addi(at.base, arith.constant(index, at.offset)) if at.offset else at.base


def _index(place: MlirValue) -> Index:
    return Index(arith.index_cast(mlir.IndexType.get(), place))
