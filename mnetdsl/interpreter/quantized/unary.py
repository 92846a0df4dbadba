"""Unary functions of stored integers, and clamp."""

from __future__ import annotations

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.unary import Clamp, UnaryOp
from mnetdsl.numerics.clamps import clamp_range
from mnetdsl.numerics.tables import clamped, lookup, unary_table
from mnetdsl.numerics.wide_tables import wide_unary


def unary(op: UnaryOp, frame: Frame) -> Array:
    """Of 8 bits by a table of all numbers, of 16 bits by one of 513."""
    source, result = grid(op.input.type), grid(op.type)
    if source.dtype == "int16":
        return wide_unary(op.opcode, frame[op.input], source, result)
    return lookup(frame[op.input], unary_table(op.opcode, source, result))


def clamp(op: Clamp, frame: Frame) -> Array:
    source, result = grid(op.input.type), grid(op.type)
    return clamped(frame[op.input], source, result, clamp_range(result, op.low, op.high))
