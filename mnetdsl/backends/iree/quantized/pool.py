"""Pooling of stored integers over height and width."""

from __future__ import annotations

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, linalg

from mnetdsl.backends.iree.integers import i32, scaled
from mnetdsl.backends.iree.ops.pool import inside
from mnetdsl.backends.iree.ops.window import window_attributes, window_source
from mnetdsl.backends.iree.quantized.levels import saturated, widened_map
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import (
    Indexed,
    MlirValue,
    element_type,
    elementwise,
    empty,
    filled,
    number,
    reduced,
    unfused,
    whole,
)
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.pool import AvgPool, GlobalAvgPool, MaxPool
from mnetdsl.numerics.mean import mean_factor


def emit_avg_pool(scope: Scope, op: Op) -> MlirValue:
    """The sum of the pixels inside the map by their number, halves away from zero."""
    assert isinstance(op, AvgPool)
    total = _pooled(linalg.PoolingNhwcSumOp, scope, op, 0)
    _, height, width, _ = op.input.type.shape
    rows = inside(height, op.kernel[0], op.strides[0], op.padding[0], op.type.shape[1])
    columns = inside(width, op.kernel[1], op.strides[1], op.padding[2], op.type.shape[2])
    counts = scope.made(f"{op.name}.counts", np.outer(rows, columns).astype(np.int32))
    result = grid(op.type)

    def body(x: MlirValue, count: MlirValue) -> MlirValue:
        return saturated(mean_of(x, count), 0, (result.low, result.high), op.type.element)

    inputs = [whole(total), Indexed(counts, (1, 2))]
    return elementwise(op.type.shape, inputs, body, element_type(op.type.element))


def mean_of(total: MlirValue, count: MlirValue) -> MlirValue:
    """total / count, a half away from zero; i32 scalars."""
    sign = arith.shrsi(total, number(31, i32()))
    magnitude = arith.subi(arith.xori(total, sign), sign)
    rounded = arith.addi(magnitude, arith.shrui(count, number(1, i32())))
    quotient = arith.divsi(rounded, count)
    return arith.subi(arith.xori(quotient, sign), sign)


def emit_max_pool(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, MaxPool)
    largest = _pooled(linalg.PoolingNhwcMaxOp, scope, op, grid(op.type).low)
    element = element_type(op.type.element)
    return elementwise(op.type.shape, [whole(largest)], lambda x: arith.trunci(element, x), element)


def emit_global_avg_pool(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, GlobalAvgPool)
    source, result = grid(op.input.type), grid(op.type)
    _, height, width, _ = op.input.type.shape
    count = height * width
    factor = mean_factor(count, source, result)
    pixels = widened_map(unfused(scope.value(op.input)), op.input.type.element)
    total = reduced(pixels, (1, 2), 0, arith.addi)

    def body(x: MlirValue) -> MlirValue:
        steps = arith.subi(x, number(count * source.zero_point, i32()))
        found = scaled(scope.integers, steps, factor)
        return saturated(found, result.zero_point, (result.low, result.high), op.type.element)

    return unfused(elementwise(op.type.shape, [whole(total)], body, element_type(op.type.element)))


def _pooled(kind: type, scope: Scope, op: AvgPool | MaxPool, border: int) -> MlirValue:
    """Of i32, so that both signed and unsigned numbers can be taken."""
    numbers = widened_map(scope.value(op.input), op.input.type.element)
    source = window_source(numbers, op.padding, border, op.kernel, (1, 1), op.type.shape)
    into = filled(op.type.shape, border, i32())
    window = empty((op.kernel[0], op.kernel[1]), mlir.IntegerType.get_signless(32))  # only its shape is read
    pooled = kind([into.type], [source, window], [into], **window_attributes(op.strides, (1, 1)))
    linalg.fill_builtin_region(pooled.operation)
    return pooled.result
