"""Convolution of stored integers, each channel with filters of its own."""

from __future__ import annotations

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.depthwise_conv2d import convolve_depthwise
from mnetdsl.interpreter.quantized.layer import Layer
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d


def depthwise_conv2d(op: DepthwiseConv2d, frame: Frame) -> Array:
    """The sums are those of the float convolution, on integers. Padding is the zero point, so it adds nothing."""
    layer = Layer(op, frame)
    x = layer.numbers(frame[op.input])
    return layer.maps(len(x), lambda sums, finish: convolve_depthwise(op, x, layer.filter, sums, finish))
