"""Operations that move bytes, and resize, for scalar invocations: a word of the result each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith

from mnetdsl.backends.iree.integers import i32
from mnetdsl.backends.iree.kernels.executables import Call, Given, Sized
from mnetdsl.backends.iree.kernels.language import Index, Memory, Position, as_value, greatest, least
from mnetdsl.backends.iree.kernels.simt.language import below, each, elements_grid
from mnetdsl.backends.iree.ops.resize import Corner
from mnetdsl.backends.iree.quantized.kernels.simt_maps import as_index
from mnetdsl.backends.iree.quantized.kernels.simt_words import byte_at, bytes_of, packed_bytes, sign, word_of, words_of
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.quantized.resize import mixed
from mnetdsl.backends.iree.tensors import MlirValue, number
from mnetdsl.numerics.resize import FRACTION_BITS

AXES = 4
"""Of a tensor that `SimtByteBox` takes, without the batch."""
Size = tuple[int, int]


@dataclass(frozen=True)
class SimtBytePad(Sized):
    """A border around height and width."""

    KIND: ClassVar[str] = "simt_bytes_pad"
    NUMBERS: ClassVar[tuple[str, ...]] = ("count", "across", "columns", "height", "width", "top", "left", "border")

    def call(self, size: Size, channels: int, padding: Sequence[int], border: int) -> Call:
        """Of a map of `size`, padded as in the IR."""
        top, bottom, left, right = padding
        rows, columns, across = top + size[0] + bottom, left + size[1] + right, words_of(channels)
        values = (rows * columns * across, across, columns, *size, top, left, word_of(border))
        return Call(elements_grid(values[0]), dict(zip(self.NUMBERS, values, strict=True)), values[0])

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, target = memories
        across, columns = given["across"], given["columns"]
        with each(group, given["count"]) as at:
            pixel = at // across
            y, x = pixel // columns - given["top"], pixel % columns - given["left"]
            inside = arith.andi(below(y, given["height"]), below(x, given["width"]))
            place = Index(arith.select(inside, as_value((y * given["width"] + x) * across + at % across), as_value(0)))
            target.store_scalar(arith.select(inside, source.scalar(place), given.value("border")), at)


@dataclass(frozen=True)
class SimtByteBox(Sized):
    """Bytes of a tensor in another order, or some of them: number (i, j, k, l) of the result is byte `offset` +
    i * `step_0` + … of the input."""

    KIND: ClassVar[str] = "simt_bytes_box"
    NUMBERS: ClassVar[tuple[str, ...]] = (
        *("count", "pitch", "channels", "size_1", "size_2", "offset"),
        *(f"step_{axis}" for axis in range(AXES)),
    )

    def call(self, shape: Sequence[int], offset: int, steps: Sequence[int]) -> Call:
        """`shape` of the result and `steps` in the input, without the batch, up to `AXES` of them."""
        missing = AXES - len(shape)
        *outer, channels = (*[1] * missing, *shape)
        across = words_of(channels)
        size = outer[0] * outer[1] * outer[2] * across
        values = (size, across * BYTES, channels, *outer[1:], offset, *[0] * missing, *steps)
        return Call(elements_grid(size), dict(zip(self.NUMBERS, values, strict=True)), size)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, target = memories
        with each(group, given["count"]) as at:
            row = at * BYTES // given["pitch"]
            first = at * BYTES % given["pitch"]
            place = given["offset"]
            for axis in (2, 1):
                size = given[f"size_{axis}"]
                place = place + row % size * given[f"step_{axis}"]
                row = row // size
            place = place + row * given["step_0"]
            channels = [least(first + i, given["channels"] - 1) for i in range(BYTES)]
            bytes = [byte_at(source, place + given["step_3"] * channel, signed=False) for channel in channels]
            target.store_scalar(packed_bytes(bytes), at)


@dataclass(frozen=True)
class SimtByteJoin(Sized):
    """Two maps side by side along the channels."""

    KIND: ClassVar[str] = "simt_bytes_join"
    INPUTS: ClassVar[tuple[str, ...]] = ("i32", "i32")
    NUMBERS: ClassVar[tuple[str, ...]] = ("count", "pitch", "left_pitch", "right_pitch", "left", "right")

    def call(self, pixels: int, left: int, right: int) -> Call:
        """Of maps of so many channels."""
        across = words_of(left + right)
        values = (pixels * across, *(BYTES * words for words in (across, words_of(left), words_of(right))), left, right)
        return Call(elements_grid(values[0]), dict(zip(self.NUMBERS, values, strict=True)), values[0])

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        first, second, target = memories
        left, right = given["left"], given["right"]
        with each(group, given["count"]) as at:
            pixel = at * BYTES // given["pitch"]
            start = at * BYTES % given["pitch"]
            bytes = []
            for place in range(BYTES):
                channel = start + place
                near = byte_at(first, pixel * given["left_pitch"] + least(channel, left - 1), signed=False)
                beyond = least(greatest(channel - left, 0), right - 1)
                far = byte_at(second, pixel * given["right_pitch"] + beyond, signed=False)
                bytes.append(arith.select(below(channel, left), near, far))
            target.store_scalar(packed_bytes(bytes), at)


RESIZE = ("count", "across", "columns", "width", "rows")


@dataclass(frozen=True)
class _Resize(Sized):
    """The tables say for each row and for each column of the result what it reads."""

    INPUTS: ClassVar[tuple[str, ...]] = ("i32",) * 3
    """Map, rows, columns."""
    KIND: ClassVar[str]
    NUMBERS: ClassVar[tuple[str, ...]] = RESIZE

    def call(self, size: Size, width: int, channels: int) -> Call:
        """To `size` from a map of `width`."""
        across = words_of(channels)
        values = (size[0] * size[1] * across, across, size[1], width, size[0])
        return Call(elements_grid(values[0]), dict(zip(RESIZE, values, strict=True)), values[0])

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, rows, columns, target = memories
        across, width = given["across"], given["width"]
        with each(group, given["count"]) as at:
            word, pixel = at % across, at // across
            y, x = pixel // given["columns"], pixel % given["columns"]

            def read(row: MlirValue, column: MlirValue) -> MlirValue:
                return source.scalar((as_index(row) * width + as_index(column)) * across + word)

            target.store_scalar(self.word(given, read, (rows, y), (columns, x)), at)

    def word(
        self, given: Given, read: Callable[..., MlirValue], row: tuple[Memory, Index], column: tuple[Memory, Index]
    ) -> MlirValue:
        """Of the result, whose place along each axis comes with the axis' table."""
        raise NotImplementedError


@dataclass(frozen=True)
class SimtByteNearest(_Resize):
    """A table [size]: the row, or column, that is copied."""

    KIND: ClassVar[str] = "simt_bytes_nearest"

    def word(
        self, given: Given, read: Callable[..., MlirValue], row: tuple[Memory, Index], column: tuple[Memory, Index]
    ) -> MlirValue:
        return read(*(table.scalar(place) for table, place in (row, column)))


@dataclass(frozen=True)
class SimtByteBilinear(_Resize):
    """A table [4, size]: the lower and the upper row, and how much each weighs: in 1024ths for `signed` bytes, for
    others the bits of float32, in which the reference computes those."""

    KIND: ClassVar[str] = "simt_bytes_bilinear"
    signed: bool

    @property
    def variants(self) -> tuple[str, ...]:
        return (sign(self.signed),)

    def word(
        self, given: Given, read: Callable[..., MlirValue], row: tuple[Memory, Index], column: tuple[Memory, Index]
    ) -> MlirValue:
        axes = []
        for (table, place), size in zip((row, column), (given["rows"], given["columns"]), strict=True):
            lower, upper, rest, weight = (table.scalar(size * part + place) for part in range(4))
            axes.append(((lower, self.weight(rest)), (upper, self.weight(weight))))
        corners = [(read(y, x), up, across) for x, across in axes[1] for y, up in axes[0]]
        words = [bytes_of(word, self.signed) for word, _, _ in corners]
        weights = [(up, across) for _, up, across in corners]
        mix = _whole if self.signed else mixed
        channels = zip(*words, strict=True)
        return packed_bytes([mix([(q, *pair) for q, pair in zip(pixels, weights, strict=True)]) for pixels in channels])

    def weight(self, bits: MlirValue) -> MlirValue:
        return bits if self.signed else arith.bitcast(mlir.F32Type.get(), bits)


def _whole(corners: list[Corner]) -> MlirValue:
    """Weighed in 1024ths of both axes, a half away from zero."""
    total = number(0, i32())
    for pixel, row, column in corners:
        total = arith.addi(total, arith.muli(arith.muli(pixel, row), column))
    return _rounded(total)


def _rounded(total: MlirValue) -> MlirValue:
    """In whole numbers, a half away from zero."""
    bits = 2 * FRACTION_BITS
    sign = arith.shrsi(total, number(31, i32()))
    size = arith.subi(arith.xori(total, sign), sign)
    whole = arith.shrsi(arith.addi(size, number(1 << (bits - 1), i32())), number(bits, i32()))
    return arith.subi(arith.xori(whole, sign), sign)
