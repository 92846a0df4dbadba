"""Softmax of stored integers."""

from __future__ import annotations

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.numerics import softmax as numerics


def softmax(op: Softmax, frame: Frame) -> Array:
    return numerics.softmax(frame[op.input], grid(op.input.type), grid(op.type))
