"""Pooling."""

from __future__ import annotations

from math import inf

from torch import Tensor
from torch.nn import functional

from mnetdsl.ir.ops.pool import AvgPool, GlobalAvgPool, MaxPool
from mnetdsl.training.ops.window import to_nchw, to_nhwc


def avg_pool(op: AvgPool, input: Tensor) -> Tensor:
    """Sum of the window over the number of its pixels that lie inside the map."""
    inside = input.new_ones((1, *input.shape[1:3], 1))
    return _window_sum(op, input) / _window_sum(op, inside)


def _window_sum(op: AvgPool, input: Tensor) -> Tensor:
    sums = functional.avg_pool2d(_padded(input, op.padding, 0.0), op.kernel, op.strides, divisor_override=1)
    return to_nhwc(sums)


def max_pool(op: MaxPool, input: Tensor) -> Tensor:
    return to_nhwc(functional.max_pool2d(_padded(input, op.padding, -inf), op.kernel, op.strides))


def global_avg_pool(op: GlobalAvgPool, input: Tensor) -> Tensor:
    """[N, H, W, C]  ->  [N, C]"""
    return input.mean(dim=(1, 2))


def _padded(input: Tensor, padding: tuple[int, ...], value: float) -> Tensor:
    top, bottom, left, right = padding
    return functional.pad(to_nchw(input), (left, right, top, bottom), value=value)
