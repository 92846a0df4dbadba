"""Convolution of stored integers over height and width."""

from __future__ import annotations

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.conv2d import convolve
from mnetdsl.interpreter.quantized.layer import Layer
from mnetdsl.ir.ops.conv2d import Conv2d


def conv2d(op: Conv2d, frame: Frame) -> Array:
    """The sums are those of the float convolution, on integers. Padding is the zero point, so it adds nothing."""
    layer = Layer(op, frame)
    x = layer.numbers(frame[op.input])
    return layer.maps(len(x), lambda sums, finish: convolve(op, x, layer.filter, sums, finish))
