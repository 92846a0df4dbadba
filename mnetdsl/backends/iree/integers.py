"""Products of 32-bit integers and factors (`numerics.requantization`), as scalars inside of linalg's loops.

A target computes them on 64-bit integers, or, where it has none, on two 32-bit words. Both give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith
from numpy.typing import NDArray

from mnetdsl.backends.iree.tensors import MlirValue, number
from mnetdsl.numerics.requantization import ONE_BITS

Array = NDArray[Any]
_HALF = 1 << (ONE_BITS - 1)


class Integers(Protocol):
    """How a target multiplies. Values are i32 scalars; `wide` says whether 64-bit ones exist beside them."""

    @property
    def wide(self) -> bool: ...

    def high_multiply(self, x: MlirValue, multiplier: MlirValue) -> MlirValue:
        """(x * multiplier + 2^30) >> 31; both have a sign."""
        ...

    def operands(self, multipliers: Array, shifts: Array) -> list[Array]:
        """What `scale` takes for factors multiplier * 2^(shift - 31): arrays of the shape of `multipliers`."""
        ...

    def scale(self, x: MlirValue, operands: Sequence[MlirValue]) -> MlirValue:
        """`multiply_by_quantized_multiplier`; `operands` are elements of those of `operands()`."""
        ...


def i32() -> Any:
    return mlir.IntegerType.get_signless(32)


def i64() -> Any:
    return mlir.IntegerType.get_signless(64)


def scaled(integers: Integers, x: MlirValue, factor: tuple[int, int]) -> MlirValue:
    """`x` times one factor, (multiplier, shift), that is known while building."""
    arrays = integers.operands(np.array(factor[0]), np.array(factor[1]))
    return integers.scale(x, [constant_of(array) for array in arrays])


def constant_of(array: Array) -> MlirValue:
    """An integer array of one element as a scalar constant."""
    return number(int(array.reshape(-1)[0]), mlir.IntegerType.get_signless(8 * array.dtype.itemsize))


def _raised(x: MlirValue, rest: Sequence[MlirValue]) -> MlirValue:
    """Shifted left where a factor of the layer is above 1; wraps around as the reference does."""
    return arith.shli(x, rest[0]) if rest else x


def _left(shifts: Array) -> list[Array]:
    left = np.maximum(shifts, 0).astype(np.int32)
    return [left] if left.any() else []


class Wide:
    """On 64-bit integers: both roundings in one shift.

    With h = (x * m + 2^30) >> 31, its division by 2^s (s >= 1), halves away from zero, is
    (x * m + 2^30 + 2^(30+s) - (h < 0) * 2^31) >> (31 + s). Where h is 0 though x < 0, the numerator stays within
    0 … 2^(31+s) with that last term, so x < 0 serves as well.
    """

    wide = True

    def high_multiply(self, x: MlirValue, multiplier: MlirValue) -> MlirValue:
        product = arith.muli(arith.extsi(i64(), x), arith.extsi(i64(), multiplier))
        sum = arith.addi(product, number(_HALF, i64()))
        return arith.trunci(i32(), arith.shrsi(sum, number(ONE_BITS, i64())))

    def operands(self, multipliers: Array, shifts: Array) -> list[Array]:
        right = np.maximum(-shifts.astype(np.int64), 0)
        divided = (right > 0).astype(np.int64)
        offset = _HALF + divided * (np.int64(1) << (ONE_BITS - 1 + right))
        down = divided << ONE_BITS
        return [multipliers.astype(np.int64), offset, down, right + ONE_BITS, *_left(shifts)]

    def scale(self, x: MlirValue, operands: Sequence[MlirValue]) -> MlirValue:
        multiplier, offset, down, shift, *left = operands
        wide = arith.extsi(i64(), _raised(x, left))
        sum = arith.addi(arith.muli(wide, multiplier), offset)
        # The sign spread over all bits selects `down` without a branch.
        sum = arith.subi(sum, arith.andi(arith.shrsi(wide, number(63, i64())), down))
        return arith.trunci(i32(), arith.shrsi(sum, shift))


class Narrow:
    """On 32-bit integers alone: products from 16-bit halves (Warren, Hacker's Delight, 8-2)."""

    wide = False

    def high_multiply(self, x: MlirValue, multiplier: MlirValue) -> MlirValue:
        sixteen, low = number(16, i32()), number(0xFFFF, i32())
        x_high, m_high = arith.shrsi(x, sixteen), arith.shrsi(multiplier, sixteen)
        x_low, m_low = arith.andi(x, low), arith.andi(multiplier, low)
        carry = arith.shrui(arith.muli(x_low, m_low), sixteen)
        middle = arith.addi(arith.muli(x_high, m_low), carry)
        other = arith.addi(arith.muli(x_low, m_high), arith.andi(middle, low))
        high = arith.addi(arith.muli(x_high, m_high), arith.shrsi(middle, sixteen))
        high = arith.addi(high, arith.shrsi(other, sixteen))
        half = number(_HALF, i32())
        word = arith.addi(arith.muli(x, multiplier), half)
        carried = arith.extui(i32(), arith.cmpi(arith.CmpIPredicate.ult, word, half))
        one = number(1, i32())
        top = arith.shli(arith.addi(high, carried), one)
        return arith.ori(top, arith.shrui(word, number(ONE_BITS, i32())))

    def operands(self, multipliers: Array, shifts: Array) -> list[Array]:
        right = np.maximum(-shifts, 0).astype(np.int32)
        return [multipliers.astype(np.int32), right, *_left(shifts)]

    def scale(self, x: MlirValue, operands: Sequence[MlirValue]) -> MlirValue:
        multiplier, right, *left = operands
        return divided(self.high_multiply(_raised(x, left), multiplier), right)


def divided(x: MlirValue, exponent: MlirValue) -> MlirValue:
    """x / 2^exponent, a half away from zero; i32 scalars, exponent 0 to 31."""
    one = number(1, i32())
    mask = arith.subi(arith.shli(one, exponent), one)
    negative = arith.shrui(x, number(31, i32()))
    threshold = arith.addi(arith.shrui(mask, one), negative)
    up = arith.cmpi(arith.CmpIPredicate.sgt, arith.andi(x, mask), threshold)
    return arith.addi(arith.shrsi(x, exponent), arith.extui(i32(), up))


WIDE: Integers = Wide()
NARROW: Integers = Narrow()
