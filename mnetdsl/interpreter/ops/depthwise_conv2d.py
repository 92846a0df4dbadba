"""Convolution of each channel with filters of its own."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.activation import activate
from mnetdsl.interpreter.ops.bands import aligned_empty, band_height, bands, repeated
from mnetdsl.interpreter.ops.window import Windows
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

BAND_ELEMENTS = 64 * 1024
"""Of a band's result: 256 KiB, which with the rows read stays in a level 2 cache."""

LONG_RUN = 256
"""Channels from which NumPy's inner loop, which runs over contiguous elements, is long enough as it is."""


def depthwise_conv2d(op: DepthwiseConv2d, frame: Frame) -> Array:
    """Sums the taps in one pass over each band (einsum multiplies and adds without a temporary)."""
    x = frame[op.input]
    kernel_height, kernel_width, _, multiplier = op.filter.type.shape
    if multiplier > 1:
        x = np.repeat(x, multiplier, axis=3)
    _, height, width, channels = op.type.shape
    output = aligned_empty(x.shape[0], height, width, channels)
    bias = None if op.bias is None else repeated(frame[op.bias], width)
    filters = frame[op.filter].reshape(kernel_height, kernel_width, channels)
    step = band_height(height, width * channels, BAND_ELEMENTS)
    windows = Windows(x.shape[1:], (kernel_height, kernel_width), op.strides, op.dilations, op.padding, step)
    if op.strides[1] == 1 and channels < LONG_RUN:
        # Neighbouring pixels read neighbouring pixels: a whole row of results is one run of width * channels.
        pixels, run = 1, width * channels
        filters = repeated(filters, width)
    else:
        pixels, run = width, channels
    for image, result in zip(x, output, strict=True):
        for start, stop in bands(height, step):
            view = windows.of(image, start, stop, pixels, run)
            rows = result[start:stop].reshape(stop - start, pixels, run)
            np.einsum("hwklc,klc->hwc", view, filters, out=rows)
            block = rows.reshape(stop - start, width * channels)
            if bias is not None:
                np.add(block, bias, out=block)
            activate(op.activation, block)
    return output
