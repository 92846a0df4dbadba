"""Pooling over height and width."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.window import Axis, axes, taps
from mnetdsl.ir.ops.pool import AvgPool, GlobalAvgPool, MaxPool, Pool


def avg_pool(op: AvgPool, frame: Frame) -> Array:
    """Sums in float64, divided by the number of pixels inside the map, rounded to float32."""
    x = frame[op.input]
    _, height, width, channels = op.type.shape
    total = np.zeros((x.shape[0], height, width, channels), np.float64)
    count = np.zeros((height, width, 1), np.float64)
    rows, columns = _axes(op, x)
    for tap in taps(rows, columns, 0, height):
        total[:, tap.target_rows, tap.target_columns] += x[:, tap.source_rows, tap.source_columns]
        count[tap.target_rows, tap.target_columns] += 1
    return (total / count).astype(np.float32)


def max_pool(op: MaxPool, frame: Frame) -> Array:
    """Starts below every number, so that padding is never the maximum; NaN in a window gives NaN."""
    x = frame[op.input]
    _, height, width, channels = op.type.shape
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    result = np.full((x.shape[0], height, width, channels), lowest, x.dtype)
    rows, columns = _axes(op, x)
    for tap in taps(rows, columns, 0, height):
        target = result[:, tap.target_rows, tap.target_columns]
        np.maximum(target, x[:, tap.source_rows, tap.source_columns], out=target)
    return result


def global_avg_pool(op: GlobalAvgPool, frame: Frame) -> Array:
    """Mean in float64, rounded to float32."""
    mean: Array = frame[op.input].mean(axis=(1, 2), dtype=np.float64)
    return mean.astype(np.float32)


def _axes(op: Pool, x: Array) -> tuple[Axis, Axis]:
    return axes(x.shape[1:3], op.kernel, op.strides, (1, 1), op.padding, op.type.shape[1:3])
