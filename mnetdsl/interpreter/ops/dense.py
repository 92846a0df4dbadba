"""Fully connected layer."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.activation import activate
from mnetdsl.ir.ops.dense import Dense


def dense(op: Dense, frame: Frame) -> Array:
    result: Array = np.matmul(frame[op.input], frame[op.filter])
    bias = frame.optional(op.bias)
    if bias is not None:
        result += bias
    activate(op.activation, result)
    return result
