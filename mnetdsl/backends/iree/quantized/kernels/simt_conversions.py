"""Between real and stored numbers, for scalar invocations.

A division may be off by two units in the last place on a Vulkan device. Stored numbers grow with real ones, so that
`SimtQuantize` needs none: it looks up how many of the 255 smallest real numbers of a level are not above one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith
from numpy.typing import NDArray

from mnetdsl.backends.iree.integers import i32
from mnetdsl.backends.iree.kernels.executables import Call, Given, Sized
from mnetdsl.backends.iree.kernels.language import Memory, Position, accumulate, as_value, least
from mnetdsl.backends.iree.kernels.simt.language import each, elements_grid
from mnetdsl.backends.iree.quantized.kernels.simt_maps import as_index
from mnetdsl.backends.iree.quantized.kernels.simt_words import byte_at, packed_bytes, sign, words_of
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.tensors import MlirValue, number
from mnetdsl.numerics.conversions import quantize
from mnetdsl.numerics.grid import Grid

LEVEL_BITS = 8


@dataclass(frozen=True)
class SimtQuantize(Sized):
    """Pixels of `pitch` floats, `channels` of which count, to words. `firsts` [255] as `first_numbers` gives them, and
    `low`, the lowest stored number; NaN becomes `zero_point`."""

    KIND: ClassVar[str] = "simt_quantize"
    INPUTS: ClassVar[tuple[str, ...]] = ("f32", "f32")
    NUMBERS: ClassVar[tuple[str, ...]] = ("count", "across", "pitch", "channels", "low", "zero_point")

    def call(self, pixels: int, pitch: int, channels: int, grid: Grid) -> Call:
        size = pixels * words_of(channels)
        values = (size, words_of(channels), pitch, channels, grid.low, grid.zero_point)
        return Call(elements_grid(size), dict(zip(self.NUMBERS, values, strict=True)), size)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, firsts, target = memories
        with each(group, given["count"]) as at:
            pixel, channel = at // given["across"], at % given["across"] * BYTES
            last = given["channels"] - 1
            reals = [source.scalar(pixel * given["pitch"] + least(channel + i, last)) for i in range(BYTES)]

            def halve(round: Position, levels: list[MlirValue]) -> list[MlirValue]:
                half = arith.shrui(number(1 << (LEVEL_BITS - 1), i32()), arith.index_cast(i32(), as_value(round)))
                found = []
                for x, level in zip(reals, levels, strict=True):
                    above = arith.addi(level, half)
                    first = firsts.scalar(as_index(above) - 1)
                    found.append(arith.select(arith.cmpf(arith.CmpFPredicate.OGE, x, first), above, level))
                return found

            levels = accumulate(0, LEVEL_BITS, [number(0, i32())] * BYTES, halve)
            bytes = []
            for x, level in zip(reals, levels, strict=True):
                known = arith.cmpf(arith.CmpFPredicate.ORD, x, x)
                bytes.append(arith.select(known, arith.addi(level, given.value("low")), given.value("zero_point")))
            target.store_scalar(packed_bytes(bytes), at)


def first_numbers(grid: Grid) -> NDArray[np.float32]:
    """[255]: the smallest float32 that is stored as low + 1, low + 2, …; infinity where none is."""
    levels = np.arange(grid.low + 1, grid.high + 1)
    below, found = (np.full(levels.shape, _order(np.float32(end)), np.int64) for end in (-np.inf, np.inf))
    while (found - below > 1).any():
        middle = (below + found) // 2
        reached = quantize(_real(middle), grid).astype(np.int64) >= levels
        found, below = np.where(reached, middle, found), np.where(reached, below, middle)
    return _real(found)


def _order(x: np.float32) -> int:
    """The place of a real number among all float32."""
    bits = int(np.asarray(x, np.float32).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _real(order: NDArray[np.int64]) -> NDArray[np.float32]:
    sizes = np.abs(order).astype(np.int32).view(np.float32)
    return np.where(order < 0, -sizes, sizes).astype(np.float32)


@dataclass(frozen=True)
class SimtDequantize(Sized):
    """(q - zero_point) * scale, an invocation a number: pixels of `pitch` bytes to pixels of `channels` floats."""

    KIND: ClassVar[str] = "simt_dequantize"
    OUTPUT: ClassVar[str] = "f32"
    NUMBERS: ClassVar[tuple[str, ...]] = ("count", "pitch", "channels", "zero_point", "scale")
    signed: bool

    @property
    def variants(self) -> tuple[str, ...]:
        return (sign(self.signed),)

    def call(self, pixels: int, channels: int, grid: Grid) -> Call:
        scale = int(np.asarray(grid.single, np.float32).view(np.int32))
        values = (pixels * channels, words_of(channels) * BYTES, channels, grid.zero_point, scale)
        return Call(elements_grid(values[0]), dict(zip(self.NUMBERS, values, strict=True)), values[0])

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, target = memories
        real = mlir.F32Type.get()
        with each(group, given["count"]) as at:
            channels = given["channels"]
            stored = byte_at(source, at // channels * given["pitch"] + at % channels, self.signed)
            steps = arith.sitofp(real, arith.subi(stored, given.value("zero_point")))
            target.store_scalar(arith.mulf(steps, arith.bitcast(real, given.value("scale"))), at)
