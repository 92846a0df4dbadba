"""Convolution of stored integers, each channel with filters of its own."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.bands import aligned_empty
from mnetdsl.interpreter.ops.depthwise_conv2d import convolve_depthwise
from mnetdsl.interpreter.quantized.layer import Layer
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d


def depthwise_conv2d(op: DepthwiseConv2d, frame: Frame) -> Array:
    """The sums are those of the float convolution, on integers. Padding is the zero point, so it adds nothing."""
    layer, q = Layer(op, frame), frame[op.input]
    _, height, width, channels = op.type.shape
    sums = aligned_empty(q.shape[0], height, width, channels, dtype=layer.dtype)
    result = np.empty(sums.shape, layer.result.dtype)
    shape = (q.shape[0] * height, width * channels)
    totals, rows, complete = sums.reshape(shape), result.reshape(shape), layer.finish(width)

    def finish(start: int, stop: int) -> None:
        complete(totals[start:stop], rows[start:stop])

    convolve_depthwise(op, layer.numbers(q), layer.filter, sums, finish)
    return result
