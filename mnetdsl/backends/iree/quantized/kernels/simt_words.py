"""What kernels of scalar invocations on stored bytes are written in: maps are words of four neighbouring channels.

A map [1, …, C] is i32 words, each pixel's channels padded to whole words, the first channel lowest; what stands in the
padding means nothing. Nothing here needs 8-bit storage, integers of 64 bits or subgroups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from iree.compiler.dialects import arith
from numpy.typing import NDArray

from mnetdsl.backends.iree.integers import Narrow, i32
from mnetdsl.backends.iree.kernels.language import Memory, Position, as_value
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.quantized.levels import BYTES, byte_of
from mnetdsl.backends.iree.tensors import MlirValue, number
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.requantization import ONE_BITS

RESULT = ("zero_point", "low", "high")
"""Numbers of a dispatch that say how results are stored."""
MOST_SHIFT = 30
"""Right shift of a factor that the short form takes."""


def sign(signed: bool) -> str:
    """What a kernel's name says of its bytes."""
    return "i8" if signed else "u8"


def words_of(channels: int) -> int:
    return padded_size(channels, BYTES) // BYTES


def word_of(byte: int) -> int:
    """A stored number four times, as i32."""
    return int(np.full(BYTES, byte & 0xFF, np.uint8).view("<i4")[0])


def result_numbers(grid: Grid, bounds: tuple[int, int]) -> dict[str, int]:
    """`RESULT` of a layer."""
    return dict(zip(RESULT, (grid.zero_point, *bounds), strict=True))


def packed_bytes(bytes: Sequence[MlirValue]) -> MlirValue:
    """A word of four i32 whose low bytes count."""
    word = None
    for place, value in enumerate(bytes):
        byte = value if place == BYTES - 1 else arith.andi(value, number(0xFF, i32()))
        byte = arith.shli(byte, number(8 * place, i32())) if place else byte
        word = byte if word is None else arith.ori(word, byte)
    return word


def bytes_of(word: MlirValue, signed: bool) -> list[MlirValue]:
    """All four as i32."""
    return [byte_of(word, place, signed) for place in range(BYTES)]


def byte_at(memory: Memory, at: Position, signed: bool) -> MlirValue:
    """Byte `at` of memory of words, as i32."""
    place = arith.index_cast(i32(), as_value(at % BYTES))
    top = arith.shli(memory.scalar(at // BYTES), arith.subi(number(24, i32()), arith.shli(place, number(3, i32()))))
    return (arith.shrsi if signed else arith.shrui)(top, number(24, i32()))


class Long(Narrow):
    """Factors by products of two words."""

    def high_multiply(self, x: MlirValue, multiplier: MlirValue) -> MlirValue:
        low, high = arith.mulsi_extended(x, multiplier)
        half = number(1 << (ONE_BITS - 1), i32())
        rounded = arith.addi(low, half)
        carry = arith.extui(i32(), arith.cmpi(arith.CmpIPredicate.ult, rounded, half))
        top = arith.shli(arith.addi(high, carry), number(1, i32()))
        return arith.ori(top, arith.shrui(rounded, number(ONE_BITS, i32())))


LONG = Long()


@dataclass(frozen=True)
class Factors:
    """How sums are multiplied by the factors of a layer's channels.

    Where all factors are below 1/2 (`raised` is False), both roundings are one shift, as `integers.Wide` says: the
    numerator's upper word is that of the product and a carry, which depends on two bits of the lower one.
    """

    raised: bool

    @staticmethod
    def of(multipliers: NDArray[np.int64], shifts: NDArray[np.int64]) -> Factors:
        right = -shifts[multipliers != 0]
        return Factors(bool(((right < 1) | (right > MOST_SHIFT)).any()))

    @property
    def rows(self) -> int:
        return 3 if self.raised else 2

    def table(self, multipliers: NDArray[np.int64], shifts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """[multiplier, right shift, left shift where `raised`], each [channels]."""
        if not self.raised:
            return [multipliers, np.where(multipliers != 0, -shifts - 1, 0)]
        return [multipliers, np.maximum(-shifts, 0), np.maximum(shifts, 0)]

    def scale(self, x: MlirValue, operands: Sequence[MlirValue]) -> MlirValue:
        """`multiply_by_quantized_multiplier`; `operands` are numbers of `table`."""
        if self.raised:
            return LONG.scale(x, operands)
        multiplier, right = operands
        low, high = arith.mulsi_extended(x, multiplier)
        # In quarters of the lower word: 1 + 2^(right + 1), less 2 for a negative number.
        rounding = arith.addi(arith.shli(number(2, i32()), right), number(1, i32()))
        rounding = arith.addi(rounding, arith.andi(arith.shrsi(x, number(31, i32())), number(-2, i32())))
        quarters = arith.addi(arith.shrui(low, number(30, i32())), rounding)
        return arith.shrsi(arith.addi(high, arith.shrsi(quarters, number(2, i32()))), right)


def clamped(x: MlirValue, result: Sequence[MlirValue]) -> MlirValue:
    """x + zero point within the bounds; `result` are the numbers of `RESULT`."""
    zero_point, low, high = result
    return arith.minsi(arith.maxsi(arith.addi(x, zero_point), low), high)


def table_words(table: NDArray[Any]) -> NDArray[np.int32]:
    """A table of bytes as words, flat."""
    return np.ascontiguousarray(table).view("<i4").reshape(-1)
