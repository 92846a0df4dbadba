"""Fully connected layer of stored integers."""

from __future__ import annotations

from iree.compiler.dialects import linalg

from mnetdsl.backends.iree.quantized.layer import Numbers
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, filled
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.dense import Dense


def emit_dense(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Dense)
    numbers = Numbers(scope, op)
    into = filled(op.type.shape, 0, numbers.accumulator)
    return numbers.finished(linalg.matmul(numbers.products_of(scope.value(op.input)), numbers.taps(), outs=[into]))
