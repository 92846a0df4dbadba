"""Convolutions with a window on bytes for scalar invocations, depthwise or not.

An invocation makes a word, four neighbouring channels, of each of four neighbouring pixels of a row. Taps outside of
the map read the border, the stored zero, so that all invocations go the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.executables import Call, Given
from mnetdsl.backends.iree.kernels.language import Index, Memory, Position, accumulate, as_value, least
from mnetdsl.backends.iree.kernels.simt.language import below, each, elements_grid, where_below
from mnetdsl.backends.iree.quantized.kernels.simt_filters import FILTER, OWN, FilterKernel
from mnetdsl.backends.iree.quantized.kernels.simt_words import byte_at, bytes_of, word_of, words_of
from mnetdsl.backends.iree.quantized.levels import BYTES, byte_of
from mnetdsl.backends.iree.tensors import MlirValue

WINDOW = (
    "across",
    "rows",
    "columns_out",
    "words",
    "height",
    "width",
    "kernel_height",
    "kernel_width",
    "stride_y",
    "stride_x",
    "dilation_y",
    "dilation_x",
    "top",
    "left",
    "border",
)


@dataclass(frozen=True)
class Sliding:
    """A window over a map of `size` (height, width) and `channels`, with `outputs` (height, width); `padding` as in the
    IR, outside of the map stands `border`."""

    size: tuple[int, int]
    channels: int
    outputs: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    padding: tuple[int, int, int, int]
    border: int

    def numbers(self, channels: int) -> dict[str, int]:
        """`WINDOW`, for `channels` of the result."""
        top, _, left, _ = self.padding
        pairs = (self.size, self.kernel, self.strides, self.dilations, (top, left))
        values = [
            words_of(channels),
            *self.outputs,
            words_of(self.channels),
            *(each for pair in pairs for each in pair),
        ]
        return dict(zip(WINDOW, [*values, word_of(self.border)], strict=True))

    def grid(self, channels: int) -> tuple[int, int]:
        return elements_grid(words_of(channels) * self.outputs[0] * -(-self.outputs[1] // OWN))


@dataclass(frozen=True)
class Place:
    """Where one tap of the window of one pixel reads: a pixel of the map, or the border where not `inside`."""

    pixel: Position
    inside: MlirValue

    def word(self, source: Memory, words: Index, word: Position, border: MlirValue) -> MlirValue:
        at = arith.select(self.inside, as_value(self.pixel * words + word), as_value(0))
        return arith.select(self.inside, source.scalar(Index(at)), border)


@dataclass(frozen=True)
class Tap:
    """One tap of the window: its number, and where each of the pixels reads it; `word` is that of the channels."""

    number: Index
    places: Sequence[Place]
    word: Index
    source: Memory
    weights: Memory


@dataclass(frozen=True)
class _ByteWindow(FilterKernel):
    """`emit` walks the taps; what one of them adds is the kinds' business."""

    NUMBERS: ClassVar[tuple[str, ...]] = (*WINDOW, *FILTER)

    def call(self, sliding: Sliding, channels: int, numbers: dict[str, int]) -> Call:
        """`numbers` are those of `FILTER`."""
        size = sliding.outputs[0] * sliding.outputs[1] * words_of(channels)
        return Call(sliding.grid(channels), sliding.numbers(channels) | numbers, size)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, weights, table, target = memories
        across, width = given["across"], given["columns_out"]
        strips = (width + (OWN - 1)) // OWN
        with each(group, given["rows"] * strips * across) as at:
            word, strip = at % across, at // across
            y, x = strip // strips, strip % strips * OWN
            up = y * given["stride_y"] - given["top"]
            before = [(x + i) * given["stride_x"] - given["left"] for i in range(OWN)]

            def row(ky: Position, sums: list[MlirValue]) -> list[MlirValue]:
                v = given["dilation_y"] * ky + up
                above = below(v, given["height"])

                def column(kx: Position, sums: list[MlirValue]) -> list[MlirValue]:
                    places = []
                    for first in before:
                        u = given["dilation_x"] * kx + first
                        inside = arith.andi(above, below(u, given["width"]))
                        places.append(Place(v * given["width"] + u, inside))
                    number = given["kernel_width"] * ky + kx
                    return self.tapped(given, sums, Tap(number, places, word, source, weights))

                return accumulate(0, given["kernel_width"], sums, column)

            bias, operands = self.operands(given, table, word * BYTES)
            sums = accumulate(0, given["kernel_height"], bias * OWN, row)
            for i in range(OWN):
                found = self.finished(given, sums[i * OWN : (i + 1) * OWN], operands)
                with where_below(x + i, width):
                    target.store_scalar(found, (y * width + (x + i)) * across + word)

    def tapped(self, given: Given, sums: list[MlirValue], tap: Tap) -> list[MlirValue]:
        """`sums` [pixel][channel] with the products of one tap."""
        raise NotImplementedError


@dataclass(frozen=True)
class SimtByteConvolution(_ByteWindow):
    """weights [KH, KW, words, columns], a word holding four depths of one channel."""

    KIND: ClassVar[str] = "simt_bytes_convolution"

    def tapped(self, given: Given, sums: list[MlirValue], tap: Tap) -> list[MlirValue]:
        def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            pixels = [place.word(tap.source, given["words"], k, given.value("border")) for place in tap.places]
            row = (tap.number * given["words"] + k) * given["columns"]
            channels = [tap.weights.scalar(row + tap.word * BYTES + j) for j in range(OWN)]
            return self.added(given, sums, pixels, channels)

        return accumulate(0, given["words"], sums, step)


@dataclass(frozen=True)
class SimtByteDepthwise(_ByteWindow):
    """weights [KH, KW, across], a word holding four channels."""

    KIND: ClassVar[str] = "simt_bytes_depthwise"

    def tapped(self, given: Given, sums: list[MlirValue], tap: Tap) -> list[MlirValue]:
        factors = self.weight_bytes(given, tap.weights.scalar(tap.number * given["across"] + tap.word))
        values = [value for place in tap.places for value in self.channels(given, tap, place)]
        products = [arith.muli(value, factors[place % OWN]) for place, value in enumerate(values)]
        return [arith.addi(sum, product) for sum, product in zip(sums, products, strict=True)]

    def channels(self, given: Given, tap: Tap, place: Place) -> list[MlirValue]:
        """What the four channels of a pixel multiply."""
        return bytes_of(place.word(tap.source, given["words"], tap.word, given.value("border")), self.signed)


@dataclass(frozen=True)
class SimtByteMultiplied(SimtByteDepthwise):
    """Several kernels a channel: output channel c reads the input's channel c // multiplier."""

    KIND: ClassVar[str] = "simt_bytes_depthwise_multiplied"
    NUMBERS: ClassVar[tuple[str, ...]] = (*WINDOW, *FILTER, "multiplier")

    def channels(self, given: Given, tap: Tap, place: Place) -> list[MlirValue]:
        pitch = given["words"] * BYTES
        start = Index(arith.select(place.inside, as_value(place.pixel * pitch), as_value(0)))
        border = byte_of(given.value("border"), 0, self.signed)
        found = []
        for number in range(OWN):
            channel = least((tap.word * BYTES + number) // given["multiplier"], pitch - 1)
            value = byte_at(tap.source, start + channel, self.signed)
            found.append(arith.select(place.inside, value, border))
        return found
