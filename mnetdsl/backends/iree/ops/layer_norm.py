"""Layer normalization: the mean of each row, then the mean of the squares around it."""

from __future__ import annotations

from iree.compiler.dialects import arith, math

from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import (
    Indexed,
    MlirValue,
    elementwise,
    per_channel,
    reduced,
    scalar,
    shape_of,
    whole,
)
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.layer_norm import LayerNorm


def emit_layer_norm(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, LayerNorm)
    source = scope.value(op.input)
    shape = shape_of(source)
    axis = len(shape) - 1
    count = float(shape[axis])
    rows = tuple(range(axis))
    total = reduced(source, [axis], 0.0, arith.addf)
    centered = elementwise(
        shape,
        [whole(source), Indexed(total, rows)],
        lambda x, total: arith.subf(x, arith.divf(total, scalar(count))),
    )
    squares = reduced(elementwise(shape, [whole(centered)], lambda x: arith.mulf(x, x)), [axis], 0.0, arith.addf)

    def body(x: MlirValue, squares: MlirValue, scale: MlirValue, offset: MlirValue) -> MlirValue:
        variance = arith.addf(arith.divf(squares, scalar(count)), scalar(op.epsilon))
        return arith.addf(arith.mulf(arith.divf(x, math.sqrt(variance)), scale), offset)

    parameters = [per_channel(scope.value(value), len(shape)) for value in (op.scale, op.offset)]
    return elementwise(shape, [whole(centered), Indexed(squares, rows), *parameters], body)
