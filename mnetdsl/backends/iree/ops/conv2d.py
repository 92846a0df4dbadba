"""Convolution: a matrix product where the window is one pixel, else linalg's named convolution."""

from __future__ import annotations

from iree.compiler.dialects import linalg

from mnetdsl.backends.iree.ops.activation import epilogue
from mnetdsl.backends.iree.ops.window import window_attributes, window_source
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, collapsed, expanded, filled, shape_of
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.conv2d import Conv2d

PIXELS = ((0, 1, 2), (3,))
"""Batch, height and width as the rows of a matrix."""


def emit_conv2d(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Conv2d)
    source, filter = scope.value(op.input), scope.value(op.filter)
    bias, residual = scope.optional(op.bias), scope.optional(op.residual)
    if shape_of(filter)[:2] == (1, 1) and op.strides == (1, 1) and not any(op.padding):
        rows = collapsed(source, PIXELS)
        matrix = collapsed(filter, PIXELS)
        product = linalg.matmul(rows, matrix, outs=[filled((shape_of(rows)[0], shape_of(matrix)[1]), 0.0)])
        added = None if residual is None else collapsed(residual, PIXELS)
        return expanded(epilogue(product, bias, op.activation, added), op.type.shape, PIXELS)
    into = filled(op.type.shape, 0.0)
    convolved = linalg.Conv2DNhwcHwcfOp(
        [into.type],
        [window_source(source, op.padding, 0.0, shape_of(filter), op.dilations, op.type.shape), filter],
        [into],
        **window_attributes(op.strides, op.dilations),
    )
    linalg.fill_builtin_region(convolved.operation)
    return epilogue(convolved.result, bias, op.activation, residual)
