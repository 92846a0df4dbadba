"""Pooling over height and width."""

from __future__ import annotations

from math import inf

import numpy as np
from iree.compiler.dialects import arith, linalg
from numpy.typing import NDArray

from mnetdsl.backends.iree.ops.window import window_attributes, window_source
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import (
    Indexed,
    MlirValue,
    dense,
    elementwise,
    empty,
    filled,
    reduced,
    scalar,
    shape_of,
    unfused,
    whole,
)
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.pool import AvgPool, GlobalAvgPool, MaxPool


def emit_avg_pool(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, AvgPool)
    source = scope.value(op.input)
    total = _pooled(linalg.PoolingNhwcSumOp, source, op, 0.0)
    _, height, width, _ = op.input.type.shape
    rows = inside(height, op.kernel[0], op.strides[0], op.padding[0], op.type.shape[1])
    columns = inside(width, op.kernel[1], op.strides[1], op.padding[2], op.type.shape[2])
    counts = np.outer(rows, columns).astype(np.float32)
    if (counts == counts[0, 0]).all():
        return elementwise(op.type.shape, [whole(total)], lambda x: arith.divf(x, scalar(float(counts[0, 0]))))
    return elementwise(op.type.shape, [whole(total), Indexed(dense(counts), (1, 2))], arith.divf)


def emit_max_pool(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, MaxPool)
    return _pooled(linalg.PoolingNhwcMaxOp, scope.value(op.input), op, -inf)


def emit_global_avg_pool(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, GlobalAvgPool)
    # A dispatch of its own: fused with what makes its map or with a product that spreads its result over the map again,
    # IREE 3.13 computes it wrong on Vulkan.
    source = unfused(scope.value(op.input))
    _, height, width, _ = shape_of(source)
    total = reduced(source, (1, 2), 0.0, lambda x, sum: arith.addf(sum, x))
    return unfused(elementwise(op.type.shape, [whole(total)], lambda x: arith.divf(x, scalar(float(height * width)))))


def _pooled(kind: type, source: MlirValue, op: AvgPool | MaxPool, start: float) -> MlirValue:
    source = window_source(source, op.padding, start, op.kernel, (1, 1), op.type.shape)
    into = filled(op.type.shape, start)
    window = empty((op.kernel[0], op.kernel[1]))  # only its shape is read
    pooled = kind([into.type], [source, window], [into], **window_attributes(op.strides, (1, 1)))
    linalg.fill_builtin_region(pooled.operation)
    return pooled.result


def inside(size: int, kernel: int, stride: int, before: int, outputs: int) -> NDArray[np.int64]:
    """How many of a window's positions along one axis lie inside the map, for each output position."""
    starts = np.arange(outputs) * stride - before
    return np.minimum(starts + kernel, size) - np.maximum(starts, 0)
