"""Batch normalization that no pass has folded away."""

from __future__ import annotations

from iree.compiler.dialects import arith, math

from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, elementwise, per_channel, scalar, shape_of, whole
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.batch_norm import BatchNorm


def emit_batch_norm(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, BatchNorm)
    source = scope.value(op.input)
    shape = shape_of(source)
    statistics = [per_channel(scope.value(value), len(shape)) for value in (op.scale, op.offset, op.mean, op.variance)]

    def body(x: MlirValue, scale: MlirValue, offset: MlirValue, mean: MlirValue, variance: MlirValue) -> MlirValue:
        gain = arith.divf(scale, math.sqrt(arith.addf(variance, scalar(op.epsilon))))
        return arith.addf(arith.mulf(arith.subf(x, mean), gain), offset)

    return elementwise(shape, [whole(source), *statistics], body)
