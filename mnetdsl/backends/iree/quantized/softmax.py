"""Softmax of stored integers over the last axis, in 32-bit fixed point (`numerics.softmax`, `numerics.fixed_point`)."""

from __future__ import annotations

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, math, tensor

from mnetdsl.backends.iree.integers import Integers, divided, i32
from mnetdsl.backends.iree.quantized.levels import saturated, widened_map
from mnetdsl.backends.iree.quantized.lookup import table_of
from mnetdsl.backends.iree.quantized.quantize import requantized
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import (
    Indexed,
    MlirValue,
    element_type,
    elementwise,
    number,
    reduced,
    shape_of,
    unfused,
    whole,
)
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.numerics.softmax import SUM_BITS, softmax_result, softmax_table

_48_17, _32_17 = 1515870810, 1010580540
"""48/17 and 32/17 with two integer bits."""
LOWEST, HIGHEST = -(2**31), 2**31 - 1


def emit_softmax(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Softmax)
    integers = scope.integers
    value, result = scope.value(op.input), grid(op.type)
    computed = softmax_result(result.dtype)
    shape = shape_of(value)
    axis, rows = len(shape) - 1, tuple(range(len(shape) - 1))
    table = table_of(scope, f"{op.name}.powers", softmax_table(grid(op.input.type)))
    numbers = unfused(widened_map(value, op.input.type.element))
    largest = reduced(numbers, [axis], LOWEST, arith.maxsi)

    def power(q: MlirValue, largest: MlirValue) -> MlirValue:
        entry = arith.index_cast(mlir.IndexType.get(), arith.subi(largest, q))
        return tensor.ExtractOp(table, [entry]).result

    powers = unfused(elementwise(shape, [whole(numbers), Indexed(largest, rows)], power, i32()))
    parts = elementwise(shape, [whole(powers)], lambda x: divided(x, number(SUM_BITS, i32())), i32())
    total = reduced(parts, [axis], 0, arith.addi)
    reciprocals = elementwise(shape[:-1], [whole(total)], lambda x: reciprocal(integers, x), i32())

    def stored(power: MlirValue, total: MlirValue, factor: MlirValue) -> MlirValue:
        found = share(integers, power, total, factor)
        return saturated(found, computed.low, (computed.low, computed.high), op.type.element)

    inputs = [whole(powers), Indexed(total, rows), Indexed(reciprocals, rows)]
    shares = elementwise(shape, inputs, stored, element_type(op.type.element))
    if result == computed:
        return shares
    return requantized(scope, shares, (computed, op.type.element), (result, op.type.element))


def share(integers: Integers, power: MlirValue, total: MlirValue, factor: MlirValue) -> MlirValue:
    """A power's share of the `total`, whose reciprocal is `factor`, in 256ths; i32 scalars."""
    exponent = arith.subi(number(SUM_BITS + 23, i32()), math.ctlz(total))
    most = number(31, i32())
    quotient = divided(integers.high_multiply(power, factor), arith.minsi(exponent, most))
    beyond = arith.cmpi(arith.CmpIPredicate.sgt, exponent, most)
    return arith.select(beyond, number(0, i32()), quotient)


def reciprocal(integers: Integers, x: MlirValue) -> MlirValue:
    """1 / x without integer bits, x shifted to its first bit: three steps of Newton's method."""
    fraction = arith.andi(arith.shli(x, math.ctlz(x)), number(HIGHEST, i32()))
    half = arith.addi(arith.shrui(fraction, number(1, i32())), number(1 << 30, i32()))
    guess = arith.addi(number(_48_17, i32()), integers.high_multiply(half, number(-_32_17, i32())))
    for _ in range(3):
        error = arith.subi(number(1 << 29, i32()), integers.high_multiply(half, guess))
        guess = arith.addi(guess, _raised(integers.high_multiply(guess, error), 2))
    return _raised(guess, 1)


def _raised(x: MlirValue, bits: int) -> MlirValue:
    """x * 2^bits, saturated."""
    count = number(bits, i32())
    shifted = arith.shli(x, count)
    fits = arith.cmpi(arith.CmpIPredicate.eq, arith.shrsi(shifted, count), x)
    negative = arith.cmpi(arith.CmpIPredicate.slt, x, number(0, i32()))
    end = arith.select(negative, number(LOWEST, i32()), number(HIGHEST, i32()))
    return arith.select(fits, shifted, end)
