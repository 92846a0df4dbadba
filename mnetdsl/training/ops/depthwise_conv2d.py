"""Depthwise convolution."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.training.ops.activation import activate
from mnetdsl.training.ops.window import split_padding, to_nchw, to_nhwc


def depthwise_conv2d(op: DepthwiseConv2d, input: Tensor, filter: Tensor, bias: Tensor | None = None) -> Tensor:
    """input [N, H, W, C], filter [KH, KW, C, M], bias [C*M]  ->  [N, OH, OW, C*M]

    A grouped convolution numbers its outputs group by group, so channel c*M + m is kernel m of channel c.
    """
    map, padding = split_padding(to_nchw(input), op.padding)
    height, width, channels, multiplier = filter.shape
    weight = filter.permute(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    result = functional.conv2d(map, weight, bias, op.strides, padding, op.dilations, groups=channels)
    return activate(to_nhwc(result), op.activation)
