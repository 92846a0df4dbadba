"""Pooling of stored integers over height and width."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.pool import taps
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.pool import AvgPool, GlobalAvgPool
from mnetdsl.numerics.bounds import EXACT_SINGLE
from mnetdsl.numerics.mean import mean, window_mean


def avg_pool(op: AvgPool, frame: Frame) -> Array:
    """Over the pixels inside the map."""
    x = frame[op.input]
    _, height, width, channels = op.type.shape
    total = np.zeros((x.shape[0], height, width, channels), np.int64)
    count = np.zeros((height, width, 1), np.int64)
    for target, source in taps(op):
        total[:, *target] += x[:, *source]
        count[target] += 1
    return window_mean(total, count, grid(op.type))


def global_avg_pool(op: GlobalAvgPool, frame: Frame) -> Array:
    x, source = frame[op.input], grid(op.input.type)
    batch, height, width, channels = x.shape
    count = height * width
    # A product of matrices sums the columns several times as fast as a reduction; float32 where that is exact.
    exact = np.float32 if count * max(-source.low, source.high) <= EXACT_SINGLE else np.float64
    pixels = x.reshape(batch, count, channels).astype(exact)
    total = np.matmul(np.ones((1, count), exact), pixels)[:, 0].astype(np.int64)
    return mean(total, count, source, grid(op.type))
