"""Depthwise convolution."""

from __future__ import annotations

from iree.compiler.dialects import linalg

from mnetdsl.backends.iree.ops.activation import epilogue
from mnetdsl.backends.iree.ops.window import window_attributes, window_source
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, collapsed, filled, shape_of
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

CHANNEL_AND_MULTIPLIER = ((0,), (1,), (2,), (3, 4))
"""Joins channel c and its kernel m to c*M + m."""


def emit_depthwise_conv2d(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, DepthwiseConv2d)
    filter = scope.value(op.filter)
    source = window_source(scope.value(op.input), op.padding, 0.0, shape_of(filter), op.dilations, op.type.shape)
    *_, channels, multiplier = shape_of(filter)
    attributes = window_attributes(op.strides, op.dilations)
    if multiplier == 1:
        into = filled(op.type.shape, 0.0)
        taps = collapsed(filter, ((0,), (1,), (2, 3)))
        convolved = linalg.DepthwiseConv2DNhwcHwcOp([into.type], [source, taps], [into], **attributes)
    else:
        into = filled((*op.type.shape[:3], channels, multiplier), 0.0)
        convolved = linalg.DepthwiseConv2DNhwcHwcmOp([into.type], [source, filter], [into], **attributes)
    linalg.fill_builtin_region(convolved.operation)
    result = convolved.result if multiplier == 1 else collapsed(convolved.result, CHANNEL_AND_MULTIPLIER)
    return epilogue(result, scope.optional(op.bias), op.activation)
