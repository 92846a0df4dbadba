"""Convolution over height and width."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Ints, Operand, OptionalOperand
from mnetdsl.ir.ops.activation import activation_attribute
from mnetdsl.ir.ops.weights import check_weights
from mnetdsl.ir.ops.window import window_shape
from mnetdsl.ir.types import TensorType


class Conv2d(Op):
    """Cross-correlates all input channels with one filter per output channel.

    input [N, H, W, I], filter [KH, KW, I, O], bias [O], residual [N, OH, OW, O]  ->  [N, OH, OW, O]

    result = activation(conv(input, filter) + bias) + residual
    """

    opcode = "conv2d"
    input = Operand(rank=4)
    filter = Operand(rank=4)
    bias = OptionalOperand(rank=1)
    residual = OptionalOperand(rank=4)
    filter_scale = OptionalOperand(rank=1)
    filter_zero_point = OptionalOperand(rank=1)
    strides = Ints(2, default=(1, 1), minimum=1)
    padding = Ints(4, default=(0, 0, 0, 0), minimum=0)
    dilations = Ints(2, default=(1, 1), minimum=1)
    activation = activation_attribute()

    def infer(self) -> TensorType:
        batch, height, width, channels = self.input.type.shape
        kernel_height, kernel_width, filter_channels, outputs = self.filter.type.shape
        if channels != filter_channels:
            raise ShapeError(
                f"`conv2d` has a filter for {filter_channels} channels, the input has {channels}", "filter"
            )
        rows, columns = window_shape(
            self.opcode, (height, width), (kernel_height, kernel_width), self.strides, self.dilations, self.padding
        )
        result = self.input.type.with_shape((batch, rows, columns, outputs))
        check_weights(self, outputs)
        if self.residual is not None and self.residual.type.shape != result.shape:
            raise ShapeError(f"`conv2d` needs a residual of {result}, got {self.residual.type}", "residual")
        return result
