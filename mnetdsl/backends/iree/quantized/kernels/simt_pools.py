"""Pools over height and width on bytes for scalar invocations, and the place of the largest channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.integers import i32
from mnetdsl.backends.iree.kernels.executables import Call, Given, Sized
from mnetdsl.backends.iree.kernels.language import Index, Memory, Position, accumulate, as_value, greatest, least
from mnetdsl.backends.iree.kernels.simt.language import (
    THREADS,
    barrier,
    each,
    elements_grid,
    shared,
    thread,
    where_below,
)
from mnetdsl.backends.iree.quantized.kernels.simt_maps import factor_names, scaled
from mnetdsl.backends.iree.quantized.kernels.simt_words import (
    RESULT,
    byte_at,
    bytes_of,
    clamped,
    packed_bytes,
    sign,
    words_of,
)
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.quantized.pool import mean_of
from mnetdsl.backends.iree.quantized.softmax import LOWEST
from mnetdsl.backends.iree.tensors import MlirValue, number


@dataclass(frozen=True)
class SimtByteMean(Sized):
    """The mean over all pixels. A workgroup a word: each invocation sums every 64th pixel, the first one the sums.

    `offset` is pixels * zero point, which is taken from the sum.
    """

    KIND: ClassVar[str] = "simt_bytes_mean"
    NUMBERS: ClassVar[tuple[str, ...]] = ("pixels", "across", "offset", *factor_names("mean"), *RESULT)
    signed: bool

    @property
    def variants(self) -> tuple[str, ...]:
        return (sign(self.signed),)

    def call(self, pixels: int, across: int, numbers: dict[str, int]) -> Call:
        return Call((across, 1), {"pixels": pixels, "across": across} | numbers, across)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, target = memories
        parts = shared(THREADS * BYTES, i32())
        me, word = thread(), group[0]

        def add(pixel: Position, sums: list[MlirValue]) -> list[MlirValue]:
            found = bytes_of(source.scalar(given["across"] * pixel + word), self.signed)
            return [arith.addi(sum, byte) for sum, byte in zip(sums, found, strict=True)]

        def join(part: Position, sums: list[MlirValue]) -> list[MlirValue]:
            return [arith.addi(sum, parts.scalar(part * BYTES + place)) for place, sum in enumerate(sums)]

        zeros = [number(0, i32())] * BYTES
        for place, sum in enumerate(accumulate(me, given["pixels"], zeros, add, THREADS)):
            parts.store_scalar(sum, me * BYTES + place)
        barrier()
        with where_below(me, 1):
            sums = accumulate(0, THREADS, zeros, join)
            result = [given.value(name) for name in RESULT]
            steps = [arith.subi(sum, given.value("offset")) for sum in sums]
            target.store_scalar(packed_bytes([clamped(scaled(given, x, "mean"), result) for x in steps]), word)


@dataclass(frozen=True)
class SimtByteArgmax(Sized):
    """The place of each pixel's largest number, the first of equal ones, as i32; an invocation a pixel."""

    KIND: ClassVar[str] = "simt_bytes_argmax"
    NUMBERS: ClassVar[tuple[str, ...]] = ("count", "pitch", "channels")
    signed: bool

    @property
    def variants(self) -> tuple[str, ...]:
        return (sign(self.signed),)

    def call(self, pixels: int, channels: int) -> Call:
        numbers = (pixels, words_of(channels) * BYTES, channels)
        return Call(elements_grid(pixels), dict(zip(self.NUMBERS, numbers, strict=True)), pixels)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, target = memories
        with each(group, given["count"]) as at:

            def step(channel: Position, so_far: list[MlirValue]) -> list[MlirValue]:
                largest, place = so_far
                byte = byte_at(source, at * given["pitch"] + channel, self.signed)
                above = arith.cmpi(arith.CmpIPredicate.sgt, byte, largest)
                here = arith.index_cast(i32(), as_value(channel))
                return [arith.select(above, byte, largest), arith.select(above, here, place)]

            beginning = [number(LOWEST, i32()), number(0, i32())]
            target.store_scalar(accumulate(0, given["channels"], beginning, step)[1], at)


POOL = (
    *("across", "rows", "columns", "height", "width", "kernel_height", "kernel_width"),
    *("stride_y", "stride_x", "top", "left"),
)


@dataclass(frozen=True)
class _BytePool(Sized):
    """Over the pixels of a window inside the map; an invocation a word."""

    KIND: ClassVar[str]
    FIRST: ClassVar[int]
    NUMBERS: ClassVar[tuple[str, ...]] = POOL
    signed: bool

    @property
    def variants(self) -> tuple[str, ...]:
        return (sign(self.signed),)

    def call(self, across: int, outputs: tuple[int, int], numbers: Sequence[int]) -> Call:
        """`numbers` are the rest of `POOL`."""
        size = across * outputs[0] * outputs[1]
        return Call(elements_grid(size), dict(zip(POOL, (across, *outputs, *numbers), strict=True)), size)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, target = memories
        across = given["across"]
        with each(group, given["rows"] * given["columns"] * across) as at:
            word, pixel = at % across, at // across
            (top, bottom), (left, right) = (
                _inside(place * given[f"stride_{axis}"] - given[before], given[size], given[f"kernel_{size}"])
                for place, axis, before, size in (
                    (pixel // given["columns"], "y", "top", "height"),
                    (pixel % given["columns"], "x", "left", "width"),
                )
            )

            def row(v: Position, found: list[MlirValue]) -> list[MlirValue]:
                def column(u: Position, found: list[MlirValue]) -> list[MlirValue]:
                    place = (given["width"] * v + u) * across + word
                    bytes = bytes_of(source.scalar(place), self.signed)
                    return [self.combined(so_far, byte) for so_far, byte in zip(found, bytes, strict=True)]

                return accumulate(left, right, found, column)

            found = accumulate(top, bottom, [number(self.FIRST, i32())] * BYTES, row)
            count = arith.index_cast(i32(), as_value((bottom - top) * (right - left)))
            target.store_scalar(packed_bytes([self.result(x, count) for x in found]), at)

    def combined(self, so_far: MlirValue, byte: MlirValue) -> MlirValue:
        raise NotImplementedError

    def result(self, found: MlirValue, count: MlirValue) -> MlirValue:
        """Of what was combined from `count` pixels."""
        raise NotImplementedError


def _inside(first: Index, size: Index, kernel: Index) -> tuple[Index, Index]:
    """The map's rows, from one to below the other, under a window whose first is `first`."""
    ends = greatest(first, 0), least(first + kernel, size)
    low, high = (Index(as_value(end)) for end in ends)
    return low, high


@dataclass(frozen=True)
class SimtByteLargest(_BytePool):
    KIND: ClassVar[str] = "simt_bytes_largest"
    FIRST: ClassVar[int] = -128

    def combined(self, so_far: MlirValue, byte: MlirValue) -> MlirValue:
        return arith.maxsi(so_far, byte)

    def result(self, found: MlirValue, count: MlirValue) -> MlirValue:
        return found


@dataclass(frozen=True)
class SimtByteAverage(_BytePool):
    """Rounded half away from zero; the grid stays."""

    KIND: ClassVar[str] = "simt_bytes_average"
    FIRST: ClassVar[int] = 0

    def combined(self, so_far: MlirValue, byte: MlirValue) -> MlirValue:
        return arith.addi(so_far, byte)

    def result(self, found: MlirValue, count: MlirValue) -> MlirValue:
        return mean_of(found, count)
