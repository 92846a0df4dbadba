"""Product of two computed matrices."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.ir.ops.matmul import Matmul


def matmul(op: Matmul, frame: Frame) -> Array:
    right = frame[op.right]
    result: Array = np.matmul(frame[op.left], right.swapaxes(1, 2) if op.transpose == "right" else right)
    if op.scale != 1.0:
        result *= np.float32(op.scale)
    return result
