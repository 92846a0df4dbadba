"""Two-dimensional convolution."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.training.ops.activation import activate
from mnetdsl.training.ops.window import split_padding, to_nchw, to_nhwc


def conv2d(
    op: Conv2d, input: Tensor, filter: Tensor, bias: Tensor | None = None, residual: Tensor | None = None
) -> Tensor:
    """input [N, H, W, I], filter [KH, KW, I, O], bias [O], residual [N, OH, OW, O]  ->  [N, OH, OW, O]"""
    map, padding = split_padding(to_nchw(input), op.padding)
    weight = filter.permute(3, 2, 0, 1)
    result = to_nhwc(functional.conv2d(map, weight, bias, op.strides, padding, op.dilations))
    result = activate(result, op.activation)
    return result if residual is None else result + residual
