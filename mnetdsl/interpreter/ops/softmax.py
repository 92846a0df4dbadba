"""Softmax."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.ir.ops.softmax import Softmax


def softmax(op: Softmax, frame: Frame) -> Array:
    """Exponentials in float32, their sum in float64."""
    x = frame[op.input]
    exponentials: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    total = exponentials.sum(axis=-1, keepdims=True, dtype=np.float64)
    result: Array = (exponentials / total).astype(np.float32)
    return result
