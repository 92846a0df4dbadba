"""Pooling over height and width."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.window import Axis
from mnetdsl.ir.ops.pool import AvgPool, GlobalAvgPool, MaxPool, Pool

Region = tuple[slice, slice]


def avg_pool(op: AvgPool, frame: Frame) -> Array:
    """Sums in float64, divided by the number of pixels inside the map, rounded to float32."""
    x = frame[op.input]
    _, height, width, channels = op.type.shape
    total = np.zeros((x.shape[0], height, width, channels), np.float64)
    count = np.zeros((height, width, 1), np.float64)
    for target, source in taps(op):
        total[:, *target] += x[:, *source]
        count[target] += 1
    np.divide(total, count, out=total)
    return total.astype(np.float32)


def max_pool(op: MaxPool, frame: Frame) -> Array:
    """Starts below every number, so that padding is never the maximum; NaN in a window gives NaN."""
    x = frame[op.input]
    _, height, width, channels = op.type.shape
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    result = np.full((x.shape[0], height, width, channels), lowest, x.dtype)
    for target, source in taps(op):
        np.maximum(result[:, *target], x[:, *source], out=result[:, *target])
    return result


def global_avg_pool(op: GlobalAvgPool, frame: Frame) -> Array:
    """Mean in float64, rounded to float32."""
    batch, height, width, channels = frame[op.input].shape
    pixels = frame[op.input].reshape(batch, height * width, channels).astype(np.float64)
    # A product of matrices sums the columns several times as fast as a reduction.
    total: Array = np.matmul(np.ones((1, height * width)), pixels)[:, 0]
    mean: Array = (total / (height * width)).astype(np.float32)
    return mean


def taps(op: Pool) -> Iterator[tuple[Region, Region]]:
    """For each position in the window: the result pixels where it is inside the map, and the pixels they read."""
    top, _, left, _ = op.padding
    _, height, width, _ = op.input.type.shape
    _, rows, columns, _ = op.type.shape
    horizontal = list(Axis(width, op.kernel[1], op.strides[1], left, columns).taps())
    for target_rows, source_rows in Axis(height, op.kernel[0], op.strides[0], top, rows).taps():
        for target_columns, source_columns in horizontal:
            yield (target_rows, target_columns), (source_rows, source_columns)
