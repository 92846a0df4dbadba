"""Convolution over height and width, as matrix products."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.activation import activate
from mnetdsl.interpreter.ops.bands import aligned_empty, band_height, bands, repeated
from mnetdsl.interpreter.ops.window import Windows
from mnetdsl.ir.ops.conv2d import Conv2d

BAND_ELEMENTS = 64 * 1024
"""Of a band's result (256 KiB), and of its column matrix; at least the filter's, which each band reads anew."""

Finish = Callable[[int, int], None]


def conv2d(op: Conv2d, frame: Frame) -> Array:
    """A 1x1 kernel multiplies the map as it is; any other one multiplies the window's pixels, gathered in bands."""
    x = frame[op.input]
    output = aligned_empty(x.shape[0], *op.type.shape[1:])
    convolve(op, x, frame[op.filter], output, _epilogue(op, frame, output))
    return output


def convolve(op: Conv2d, x: Array, filter: Array, output: Array, finish: Finish) -> None:
    """Writes the sums of products to `output`, of the dtype of `x` and `filter`, in bands; `finish` completes each."""
    if filter.shape[:2] == (1, 1) and not any(op.padding):
        _pointwise(x[:, :: op.strides[0], :: op.strides[1]], filter, output, finish)
    else:
        _gathered(op, x, filter, output, finish)


def _epilogue(op: Conv2d, frame: Frame, output: Array) -> Finish:
    """Completes rows `start` to `stop` of `output`, seen as [N * OH, OW * O]: activation(rows + bias) + residual."""
    batch, height, width, _ = output.shape
    rows = output.reshape(batch * height, -1)
    bias = None if op.bias is None else repeated(frame[op.bias], width)
    residual = frame.optional(op.residual)
    residual_rows = None if residual is None else np.broadcast_to(residual, output.shape).reshape(rows.shape)

    def finish(start: int, stop: int) -> None:
        block = rows[start:stop]
        if bias is not None:
            np.add(block, bias, out=block)
        activate(op.activation, block)
        if residual_rows is not None:
            np.add(block, residual_rows[start:stop], out=block)

    return finish


def _pointwise(x: Array, filter: Array, output: Array, finish: Finish) -> None:
    """x [N, OH, OW, I], filter [1, 1, I, O]."""
    batch, height, width, channels = output.shape
    matrix = filter[0, 0]
    source = x.reshape(batch * height, width, -1)
    target = output.reshape(batch * height, width, channels)
    band_elements = max(BAND_ELEMENTS, matrix.size)
    for start, stop in bands(batch * height, band_height(batch * height, width * channels, band_elements)):
        pixels = (stop - start) * width
        np.matmul(source[start:stop].reshape(pixels, -1), matrix, out=target[start:stop].reshape(pixels, channels))
        finish(start, stop)


def _gathered(op: Conv2d, x: Array, filter: Array, output: Array, finish: Finish) -> None:
    """im2col (Chellapilla et al. 2006) on bands of rows, so that the column matrix stays in the cache."""
    kernel_height, kernel_width, inputs, channels = filter.shape
    _, height, width, _ = output.shape
    taps = kernel_height * kernel_width * inputs
    matrix = filter.reshape(taps, channels)
    step = band_height(height, width * max(taps, channels), max(BAND_ELEMENTS, matrix.size))
    windows = Windows(x.shape[1:], (kernel_height, kernel_width), op.strides, op.dilations, op.padding, step, x.dtype)
    scratch = aligned_empty(step * width * taps, dtype=x.dtype)
    for index, image in enumerate(x):
        for start, stop in bands(height, step):
            pixels = (stop - start) * width
            columns = scratch[: pixels * taps].reshape(pixels, taps)
            windows.gather(image, start, stop, width, columns)
            np.matmul(columns, matrix, out=output[index, start:stop].reshape(pixels, channels))
            finish(index * height + start, index * height + stop)
