"""Operations that move elements without computing: pad, concat, reshape, transpose, slice. Any element type."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose


def pad(op: Pad, frame: Frame) -> Array:
    x = frame[op.input]
    top, bottom, left, right = op.padding
    batch, height, width, channels = x.shape
    result = np.full((batch, top + height + bottom, left + width + right, channels), op.value, x.dtype)
    result[:, top : top + height, left : left + width] = x
    return result


def concat(op: Concat, frame: Frame) -> Array:
    """A tensor that depends on no input has batch 1 whatever the run's batch: it is repeated."""
    arrays = [frame[value] for value in op.inputs]
    batch = max(array.shape[0] for array in arrays)
    return np.concatenate([np.broadcast_to(array, (batch, *array.shape[1:])) for array in arrays], axis=op.axis)


def reshape(op: Reshape, frame: Frame) -> Array:
    x = frame[op.input]
    return x.reshape(x.shape[0], *op.shape)


def transpose(op: Transpose, frame: Frame) -> Array:
    return np.ascontiguousarray(frame[op.input].transpose(0, *(axis + 1 for axis in op.order)))


def slice_(op: Slice, frame: Frame) -> Array:
    x = frame[op.input]
    box = tuple(slice(start, start + count) for start, count in zip(op.begin, op.size, strict=True))
    return np.ascontiguousarray(x[(slice(None), *box)])
