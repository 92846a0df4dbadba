"""Fully connected layer: a matrix product."""

from __future__ import annotations

from iree.compiler.dialects import linalg

from mnetdsl.backends.iree.ops.activation import epilogue
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, filled
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.dense import Dense


def emit_dense(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Dense)
    product = linalg.matmul(scope.value(op.input), scope.value(op.filter), outs=[filled(op.type.shape, 0.0)])
    return epilogue(product, scope.optional(op.bias), op.activation)
