"""Convolution of stored integers, each channel with filters of its own."""

from __future__ import annotations

from iree.compiler.dialects import linalg

from mnetdsl.backends.iree.ops.depthwise_conv2d import CHANNEL_AND_MULTIPLIER
from mnetdsl.backends.iree.ops.window import window_attributes, window_source
from mnetdsl.backends.iree.quantized.layer import Numbers
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, collapsed, filled
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d


def emit_depthwise_conv2d(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, DepthwiseConv2d)
    numbers = Numbers(scope, op)
    source = numbers.products_of(scope.value(op.input))
    rows, columns, channels, multiplier = op.filter.type.shape
    window = window_source(source, op.padding, numbers.border, (rows, columns), op.dilations, op.type.shape)
    attributes = window_attributes(op.strides, op.dilations)
    if multiplier == 1:
        into = filled(op.type.shape, 0, numbers.accumulator)
        taps = numbers.taps((rows, columns, channels))
        convolved = linalg.DepthwiseConv2DNhwcHwcOp([into.type], [window, taps], [into], **attributes)
    else:
        into = filled((*op.type.shape[:3], channels, multiplier), 0, numbers.accumulator)
        convolved = linalg.DepthwiseConv2DNhwcHwcmOp([into.type], [window, numbers.taps()], [into], **attributes)
    linalg.fill_builtin_region(convolved.operation)
    sums = convolved.result if multiplier == 1 else collapsed(convolved.result, CHANNEL_AND_MULTIPLIER)
    return numbers.finished(sums)
