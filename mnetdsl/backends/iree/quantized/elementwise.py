"""Sums, differences and products of two tensors of stored integers, sizes of 1 spread."""

from __future__ import annotations

from collections.abc import Callable

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.integers import i32, scaled
from mnetdsl.backends.iree.quantized.levels import saturated, steps
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, broadcast_operand, element_type, elementwise, number
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.scales import product_factor, sum_factors

Combine = Callable[[MlirValue, MlirValue], MlirValue]


def emit_add(scope: Scope, op: Op) -> MlirValue:
    return _sum(scope, op, arith.addi)


def emit_sub(scope: Scope, op: Op) -> MlirValue:
    return _sum(scope, op, arith.subi)


def _sum(scope: Scope, op: Op, combine: Combine) -> MlirValue:
    assert isinstance(op, Elementwise)
    factors = sum_factors(grid(op.left.type), grid(op.right.type), grid(op.type))

    def body(left: MlirValue, right: MlirValue) -> tuple[MlirValue, tuple[int, int]]:
        headroom = number(factors.headroom, i32())
        first, second = (
            scaled(scope.integers, arith.shli(x, headroom), factor)
            for x, factor in ((left, factors.left), (right, factors.right))
        )
        return combine(first, second), factors.result

    return _emit(scope, op, body)


def emit_mul(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Elementwise)
    factor = product_factor(grid(op.left.type), grid(op.right.type), grid(op.type))
    return _emit(scope, op, lambda left, right: (arith.muli(left, right), factor))


def _emit(
    scope: Scope, op: Elementwise, combine: Callable[[MlirValue, MlirValue], tuple[MlirValue, tuple[int, int]]]
) -> MlirValue:
    """`combine` gets both q - zero_point as i32, and gives a number and the factor that brings it to the result."""
    left, right, result = grid(op.left.type), grid(op.right.type), grid(op.type)
    bounds = activation_range(result, op.activation)

    def body(first: MlirValue, second: MlirValue) -> MlirValue:
        value, factor = combine(
            steps(first, op.left.type.element, left.zero_point), steps(second, op.right.type.element, right.zero_point)
        )
        found = scaled(scope.integers, value, factor)
        return saturated(found, result.zero_point, bounds, op.type.element)

    shape = op.type.shape
    operands = [broadcast_operand(scope.value(value), shape) for value in (op.left, op.right)]
    return elementwise(shape, operands, body, element_type(op.type.element))
