"""The declared preprocessing of an image input."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.ir.ops.normalize import Normalize


def normalize(op: Normalize, frame: Frame) -> Array:
    """Exactly (x - mean) / std, each step rounded to float32: every backend rounds the same way."""
    result: Array = frame[op.input].astype(np.float32)
    result -= np.array(op.mean, np.float32)
    result /= np.array(op.std, np.float32)
    return result
