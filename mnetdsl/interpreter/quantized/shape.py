"""Operations that move stored integers and have to know what they stand for: pad, concat."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.shape import Concat, Pad
from mnetdsl.numerics.clamps import stored_number
from mnetdsl.numerics.concat import joined


def pad(op: Pad, frame: Frame) -> Array:
    """The border is the stored number of `value`: the zero point where that is 0."""
    x, numbers = frame[op.input], grid(op.type)
    top, bottom, left, right = op.padding
    batch, height, width, channels = x.shape
    border = min(max(stored_number(numbers, op.value), numbers.low), numbers.high)
    result = np.full((batch, top + height + bottom, left + width + right, channels), border, x.dtype)
    result[:, top : top + height, left : left + width] = x
    return result


def concat(op: Concat, frame: Frame) -> Array:
    """A tensor that depends on no input has batch 1 whatever the run's batch: it is repeated."""
    result = grid(op.type)
    arrays = [joined(frame[value], grid(value.type), result) for value in op.inputs]
    batch = max(array.shape[0] for array in arrays)
    return np.concatenate([np.broadcast_to(array, (batch, *array.shape[1:])) for array in arrays], axis=op.axis)
