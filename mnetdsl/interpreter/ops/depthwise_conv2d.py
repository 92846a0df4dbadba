"""Convolution of each channel with filters of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.activation import activate
from mnetdsl.interpreter.ops.bands import aligned_empty, band_height, bands, repeated
from mnetdsl.interpreter.ops.conv2d import Finish
from mnetdsl.interpreter.ops.window import Windows
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

BAND_ELEMENTS = 64 * 1024
"""Of a band's result: 256 KiB, which with the rows read stays in a level 2 cache."""

RUN = 1024
"""Elements that NumPy's inner loop goes over best: enough to forget the call, few enough for a level 1 cache."""

FEW_CHANNELS = 64
"""Up to which a stride in width is worth splitting the map: more channels are long enough runs as they are."""


@dataclass(frozen=True)
class Part:
    """Taps that read the same columns of the map, `pixels` neighbouring results at once."""

    columns: slice
    windows: Windows
    filters: Array
    """[KH, taps, pixels * C]."""
    pixels: int

    def sum(self, image: Array, start: int, stop: int, result: Array) -> None:
        """Writes result rows `start` to `stop` to `result`, [stop - start, OW * C]."""
        run = self.filters.shape[-1]
        rows = result.reshape(stop - start, -1, run)
        view = self.windows.of(image[:, self.columns], start, stop, rows.shape[1], self.pixels)
        np.einsum("hwklc,klc->hwc", view, self.filters, out=rows)


def depthwise_conv2d(op: DepthwiseConv2d, frame: Frame) -> Array:
    """Sums the taps in one pass over each band (einsum multiplies and adds without a temporary)."""
    x = frame[op.input]
    output = aligned_empty(x.shape[0], *op.type.shape[1:])
    rows = output.reshape(x.shape[0] * op.type.shape[1], -1)
    bias = None if op.bias is None else repeated(frame[op.bias], op.type.shape[2])

    def finish(start: int, stop: int) -> None:
        block = rows[start:stop]
        if bias is not None:
            np.add(block, bias, out=block)
        activate(op.activation, block)

    convolve_depthwise(op, x, frame[op.filter], output, finish)
    return output


def convolve_depthwise(op: DepthwiseConv2d, x: Array, filter: Array, output: Array, finish: Finish) -> None:
    """Writes the sums of products to `output`, of the dtype of `x` and `filter`, in bands; `finish` completes each."""
    multiplier = filter.shape[3]
    if multiplier > 1:
        x = np.repeat(x, multiplier, axis=3)
    _, height, width, channels = op.type.shape
    step = band_height(height, width * channels, BAND_ELEMENTS)
    first, *others = _parts(op, filter, x.shape[2], step)
    scratch = aligned_empty(step if others else 0, width * channels, dtype=x.dtype)
    for index, (image, result) in enumerate(zip(x, output.reshape(-1, height, width * channels), strict=True)):
        for start, stop in bands(height, step):
            block = result[start:stop]
            first.sum(image, start, stop, block)
            for part in others:
                part.sum(image, start, stop, scratch[: stop - start])
                np.add(block, scratch[: stop - start], out=block)
            finish(index * height + start, index * height + stop)


def _parts(op: DepthwiseConv2d, filter: Array, columns: int, step: int) -> Iterator[Part]:
    """One part, or with a stride one for each of the columns that a stride passes over.

    Taps l and l + stride read the same columns, one result apart, so that among these columns the stride is 1 and
    neighbouring results read neighbouring pixels.
    """
    kernel_height, kernel_width, _, _ = op.filter.type.shape
    _, _, width, channels = op.type.shape
    _, rows, _, _ = op.input.type.shape
    filters = filter.reshape(kernel_height, kernel_width, channels)
    stride, dilation = op.strides[1], op.dilations[1]
    top, bottom, left, _ = op.padding
    if stride > 1 and (dilation > 1 or channels > FEW_CHANNELS):
        windows = Windows(
            (rows, columns, channels),
            (kernel_height, kernel_width),
            op.strides,
            op.dilations,
            op.padding,
            step,
            filter.dtype,
        )
        yield Part(slice(None), windows, filters, 1)
        return
    pixels = _pixels(width, channels)
    for phase in range(min(stride, kernel_width)):
        taps = repeated(filters[:, phase::stride], pixels)
        first = (phase - left) % stride
        inside = len(range(first, columns, stride))
        before = (left - phase + first) // stride
        after = max(0, width + (taps.shape[1] - 1) * dilation - before - inside)
        windows = Windows(
            (rows, inside, channels),
            (kernel_height, taps.shape[1]),
            (op.strides[0], 1),
            op.dilations,
            (top, bottom, before, after),
            step,
            filter.dtype,
        )
        yield Part(slice(first, None, stride), windows, taps, pixels)


def _pixels(width: int, channels: int) -> int:
    """How many of `width` neighbouring pixels make a run: a divisor, for a length as near to `RUN` as there is."""
    divisors = (count for count in range(1, width + 1) if width % count == 0)
    return min(divisors, key=lambda count: max(count * channels / RUN, RUN / (count * channels)))
