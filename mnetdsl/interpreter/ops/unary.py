"""Unary element by element operations, and clamp."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.activation import ACTIVATIONS
from mnetdsl.ir.ops.unary import Clamp, UnaryOp


def unary(op: UnaryOp, frame: Frame) -> Array:
    x = frame[op.input]
    result = np.empty(x.shape, x.dtype)
    ACTIVATIONS[op.opcode](x, result)
    return result


def clamp(op: Clamp, frame: Frame) -> Array:
    return np.clip(frame[op.input], op.low, op.high)
