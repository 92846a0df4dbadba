"""The index of the largest number, real or stored."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.ir.ops.argmax import Argmax


def argmax(op: Argmax, frame: Frame) -> Array:
    result: Array = np.argmax(frame[op.input], axis=-1).astype(np.int32)
    return result
