"""Binary element by element operations: add, sub, mul."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.activation import activate
from mnetdsl.ir.ops.elementwise import Add, Mul, Sub


def add(op: Add, frame: Frame) -> Array:
    result: Array = np.add(frame[op.left], frame[op.right])
    activate(op.activation, result)
    return result


def sub(op: Sub, frame: Frame) -> Array:
    result: Array = np.subtract(frame[op.left], frame[op.right])
    activate(op.activation, result)
    return result


def mul(op: Mul, frame: Frame) -> Array:
    result: Array = np.multiply(frame[op.left], frame[op.right])
    activate(op.activation, result)
    return result
