"""Convolution of each channel with filters of its own."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.activation import activate
from mnetdsl.interpreter.ops.bands import bands, row_bias
from mnetdsl.interpreter.ops.window import axes, taps
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

BAND_ELEMENTS = 32 * 1024
"""Of a band's result and of its products: 128 KiB each, which with the rows read stays in a level 2 cache."""


def depthwise_conv2d(op: DepthwiseConv2d, frame: Frame) -> Array:
    """Band by band: the bias, plus each tap's products; padding is never read."""
    x = frame[op.input]
    kernel_height, kernel_width, _, multiplier = op.filter.type.shape
    if multiplier > 1:
        x = np.repeat(x, multiplier, axis=3)
    _, height, width, channels = op.type.shape
    result = np.zeros if op.bias is None else np.empty
    output = result((x.shape[0], height, width, channels), np.float32)
    # A filter row as wide as the map's row: NumPy then multiplies whole rows, not one pixel's channels at a time.
    filters = np.repeat(frame[op.filter].reshape(kernel_height, kernel_width, 1, channels), width, axis=2)
    bias = row_bias(frame.optional(op.bias), width)
    rows, columns = axes(
        x.shape[1:3], (kernel_height, kernel_width), op.strides, op.dilations, op.padding, (height, width)
    )
    scratch = np.empty(max(BAND_ELEMENTS, width * channels), np.float32)
    for image, whole in zip(x, output, strict=True):
        for start, stop in bands(height, width * channels, BAND_ELEMENTS):
            band = whole[start:stop]
            if bias is not None:
                band.reshape(stop - start, -1)[:] = bias
            for tap in taps(rows, columns, start, stop):
                target = band[tap.target_rows, tap.target_columns]
                products = scratch[: target.size].reshape(target.shape)
                weights = filters[tap.row, tap.column, : target.shape[1]]
                np.multiply(image[tap.source_rows, tap.source_columns], weights, out=products)
                np.add(target, products, out=target)
            activate(op.activation, band)
    return output
