"""Convolution of stored integers over height and width."""

from __future__ import annotations

from iree.compiler.dialects import linalg

from mnetdsl.backends.iree.ops.window import window_attributes, window_source
from mnetdsl.backends.iree.quantized.layer import Numbers
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, collapsed, expanded, filled, shape_of
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.conv2d import Conv2d

PIXELS = ((0, 1, 2), (3,))
"""Batch, height and width as the rows of a matrix."""


def emit_conv2d(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Conv2d)
    assert op.residual is None, "no pass gives quantized convolutions a residual"
    numbers = Numbers(scope, op)
    source = numbers.products_of(scope.value(op.input))
    kernel = op.filter.type.shape
    if kernel[:2] == (1, 1) and op.strides == (1, 1) and not any(op.padding):
        rows = collapsed(source, PIXELS)
        into = filled((shape_of(rows)[0], kernel[3]), 0, numbers.accumulator)
        product = linalg.matmul(rows, numbers.taps(kernel[2:]), outs=[into])
        return expanded(numbers.finished(product), op.type.shape, PIXELS)
    into = filled(op.type.shape, 0, numbers.accumulator)
    window = window_source(source, op.padding, numbers.border, kernel, op.dilations, op.type.shape)
    attributes = window_attributes(op.strides, op.dilations)
    convolved = linalg.Conv2DNhwcHwcfOp([into.type], [window, numbers.taps()], [into], **attributes)
    linalg.fill_builtin_region(convolved.operation)
    return numbers.finished(convolved.result)
