"""What the folding and fusing passes ask about the operations with weights."""

from __future__ import annotations

from collections.abc import Mapping

from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.passes.context import uses

Layer = Conv2d | DepthwiseConv2d | Dense
"""Operations with a filter and an optional bias, linear in their input up to the activation."""

CHANNEL_AXES: Mapping[str, int] = {"conv2d": 1, "dense": 1, "depthwise_conv2d": 2}
"""Trailing axes of the filter that make up the output channel: the last, or [C, M] of a depthwise filter."""


def result_channels(layer: Layer) -> int:
    return layer.type.shape[-1]


def window_padding(layer: Layer) -> tuple[int, ...]:
    """Padding of a convolution; none of a dense layer."""
    return (0, 0, 0, 0) if isinstance(layer, Dense) else layer.padding


def residual_of(op: Op) -> Value | None:
    """The value that `op` adds behind its activation."""
    return op.residual if isinstance(op, Conv2d) else None


def other_readers(value: Value, rewriter: Rewriter) -> str:
    """Why `value` must stay as it is: `2 uses`, or that it is an output. Empty where it has one use."""
    if rewriter.graph.is_output(value):
        return "it is an output"
    return "" if len(value.users) == 1 else uses(len(value.users))
