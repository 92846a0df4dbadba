"""Binary element by element operations on stored integers: add, sub, mul."""

from __future__ import annotations

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.numerics import elementwise as numerics

FUNCTIONS = {"add": numerics.add, "sub": numerics.sub, "mul": numerics.mul}


def elementwise(op: Elementwise, frame: Frame) -> Array:
    grids = grid(op.left.type), grid(op.right.type)
    return FUNCTIONS[op.opcode](frame[op.left], frame[op.right], grids, grid(op.type), op.activation)
