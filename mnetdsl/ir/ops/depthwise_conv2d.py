"""Convolution of each channel with filters of its own."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Ints, Operand, OptionalOperand
from mnetdsl.ir.ops.activation import activation_attribute
from mnetdsl.ir.ops.weights import check_weights
from mnetdsl.ir.ops.window import window_shape
from mnetdsl.ir.types import TensorType


class DepthwiseConv2d(Op):
    """Filters each channel with its own M kernels (Howard et al. 2017, eq. 3; M is the depth multiplier).

    input [N, H, W, C], filter [KH, KW, C, M], bias [C*M]  ->  [N, OH, OW, C*M]; channel c*M + m is kernel m of c

    result = activation(conv(input, filter) + bias)
    """

    opcode = "depthwise_conv2d"
    input = Operand(rank=4)
    filter = Operand(rank=4)
    bias = OptionalOperand(rank=1)
    filter_scale = OptionalOperand(rank=1)
    filter_zero_point = OptionalOperand(rank=1)
    strides = Ints(2, default=(1, 1), minimum=1)
    padding = Ints(4, default=(0, 0, 0, 0), minimum=0)
    dilations = Ints(2, default=(1, 1), minimum=1)
    activation = activation_attribute()

    def infer(self) -> TensorType:
        batch, height, width, channels = self.input.type.shape
        kernel_height, kernel_width, filter_channels, multiplier = self.filter.type.shape
        if channels != filter_channels:
            raise ShapeError(
                f"`depthwise_conv2d` has a filter for {filter_channels} channels, the input has {channels}", "filter"
            )
        rows, columns = window_shape(
            self.opcode, (height, width), (kernel_height, kernel_width), self.strides, self.dilations, self.padding
        )
        outputs = channels * multiplier
        check_weights(self, outputs)
        return self.input.type.with_shape((batch, rows, columns, outputs))
