"""Product of two computed matrices."""

from __future__ import annotations

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import Indexed, MlirValue, elementwise, filled, scalar, structured, whole
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.matmul import Matmul

BATCH, ROW, COLUMN, DEPTH = range(4)
"""Loops of the product."""


def emit_matmul(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Matmul)
    right = (BATCH, COLUMN, DEPTH) if op.transpose == "right" else (BATCH, DEPTH, COLUMN)
    product = structured(
        ["parallel", "parallel", "parallel", "reduction"],
        [Indexed(scope.value(op.left), (BATCH, ROW, DEPTH)), Indexed(scope.value(op.right), right)],
        Indexed(filled(op.type.shape, 0.0), (BATCH, ROW, COLUMN)),
        lambda left, right, total: arith.addf(total, arith.mulf(left, right)),
    )
    if op.scale == 1.0:
        return product
    factor = scalar(op.scale)
    return elementwise(op.type.shape, [whole(product)], lambda x: arith.mulf(x, factor))
