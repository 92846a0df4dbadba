"""Stored numbers as MLIR scalars: widened to i32 and saturated back."""

from __future__ import annotations

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith

from mnetdsl.backends.iree.integers import i32
from mnetdsl.backends.iree.tensors import MlirValue, element_type, elementwise, number, shape_of, whole
from mnetdsl.ir.types import ElementType

BYTES = 4
"""Of a word."""


def widened(x: MlirValue, element: ElementType) -> MlirValue:
    """A stored number as i32; u8 arrives as signless i8."""
    return arith.extui(i32(), x) if element is ElementType.U8 else arith.extsi(i32(), x)


def steps(x: MlirValue, element: ElementType, zero_point: int) -> MlirValue:
    """q - zero_point as i32."""
    wide = widened(x, element)
    return arith.subi(wide, number(zero_point, i32())) if zero_point else wide


def saturated(x: MlirValue, zero_point: int, bounds: tuple[int, int], element: ElementType) -> MlirValue:
    """x + zero_point, within `bounds`, as a stored number; x is i32."""
    if zero_point:
        x = arith.addi(x, number(zero_point, i32()))
    low, high = (number(bound, i32()) for bound in bounds)
    return arith.trunci(element_type(element), arith.minsi(arith.maxsi(x, low), high))


def byte_of(word: MlirValue, place: int, signed: bool) -> MlirValue:
    """Byte `place` of a word as i32."""
    top = arith.shli(word, number(24 - 8 * place, i32())) if place < BYTES - 1 else word
    return (arith.shrsi if signed else arith.shrui)(top, number(24, i32()))


def widened_map(value: MlirValue, element: ElementType) -> MlirValue:
    """A tensor of stored numbers as one of i32."""
    return elementwise(shape_of(value), [whole(value)], lambda x: widened(x, element), i32())


def signed_map(value: MlirValue) -> MlirValue:
    """u8 numbers less 128, as i8: what linalg's products of bytes take."""
    byte = mlir.IntegerType.get_signless(8)
    return elementwise(shape_of(value), [whole(value)], lambda x: arith.xori(x, number(-128, byte)), byte)
