"""Batch normalization with fixed statistics."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.ir.ops.batch_norm import BatchNorm


def batch_norm(op: BatchNorm, frame: Frame) -> Array:
    """(input - mean) * gain + offset, where gain = scale / sqrt(variance + epsilon) is rounded once from float64."""
    variance = frame[op.variance].astype(np.float64)
    gain = (frame[op.scale] / np.sqrt(variance + op.epsilon)).astype(np.float32)
    result: Array = frame[op.input] - frame[op.mean]
    result *= gain
    result += frame[op.offset]
    return result
