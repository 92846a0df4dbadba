"""Sums, differences and products of two tensors, sizes of 1 spread."""

from __future__ import annotations

from collections.abc import Callable

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.ops.activation import activated
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, broadcast_operand, elementwise
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.elementwise import Elementwise


def emit_add(scope: Scope, op: Op) -> MlirValue:
    return _emit(scope, op, arith.addf)


def emit_sub(scope: Scope, op: Op) -> MlirValue:
    return _emit(scope, op, arith.subf)


def emit_mul(scope: Scope, op: Op) -> MlirValue:
    return _emit(scope, op, arith.mulf)


def _emit(scope: Scope, op: Op, combine: Callable[[MlirValue, MlirValue], MlirValue]) -> MlirValue:
    assert isinstance(op, Elementwise)
    shape = op.type.shape
    operands = [broadcast_operand(scope.value(value), shape) for value in (op.left, op.right)]
    return elementwise(shape, operands, lambda left, right: activated(combine(left, right), op.activation))
