"""Unary element by element operations, and clamp."""

from __future__ import annotations

from mnetdsl.backends.iree.scalars import SCALARS, clamp
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, elementwise, shape_of, whole
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.unary import Clamp, UnaryOp


def emit_unary(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, UnaryOp)
    source = scope.value(op.input)
    return elementwise(shape_of(source), [whole(source)], SCALARS[op.opcode])


def emit_clamp(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Clamp)
    source = scope.value(op.input)
    return elementwise(shape_of(source), [whole(source)], lambda x: clamp(x, op.low, op.high))
