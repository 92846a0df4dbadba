"""add, sub and mul of stored integers, with broadcast."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.elementwise import loops
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import operand_numbers, variant
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.types import Shape
from mnetdsl.plan.tasks import Clearance, Mode


def choose(op: Elementwise) -> Choice:
    return Choice(
        title=op.opcode,
        sources=("quantized", "quantized_elementwise"),
        functions=(variant(op.opcode, op.left, op.result),),
        reads=(op.left, op.right),
        modes=(Mode("forward", (_clearance(op, op.left.type.shape), _clearance(op, op.right.type.shape))),),
        activation=op.activation,
    )


def _clearance(op: Elementwise, shape: Shape) -> Clearance | None:
    """An operand of the output's shape is read just before the result is written; a broadcast one again later."""
    alike = shape == op.type.shape and op.left.type.element.byte_width == op.type.element.byte_width
    return Clearance(above=op.type.byte_size, below=0, same=True) if alike else None


def emit(op: Elementwise, emitter: Emitter) -> Sequence[Call]:
    table = emitter.shape("loops", *loops(op.left.type.shape, op.right.type.shape))
    numbers = emitter.shape("operands", *operand_numbers(op))
    operands = (emitter.address(op.left), emitter.address(op.right), emitter.address(op.result))
    return (Call(emitter.choice.functions[0], (table, numbers, *operands)),)


RULE: Rule[Elementwise] = Rule(choose, emit)
