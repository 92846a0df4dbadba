"""argmax over the last axis, of real and of stored numbers."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import variant
from mnetdsl.ir.ops.argmax import Argmax
from mnetdsl.plan.tasks import Clearance, Mode


def choose(op: Argmax) -> Choice:
    """Row after row: an index may take the place of a row that is at least as wide, or of one that was read."""
    row = op.input.type.byte_size // op.type.elements
    narrower = row >= op.type.element.byte_width
    clearance = Clearance(op.input.type.byte_size, 0 if narrower else op.type.byte_size, narrower)
    return Choice(
        title="argmax",
        sources=("argmax",),
        functions=(variant("argmax", op.input, op.result),),
        reads=(op.input,),
        modes=(Mode("forward", (clearance,)),),
    )


def emit(op: Argmax, emitter: Emitter) -> Sequence[Call]:
    pointers = (emitter.address(op.input), emitter.address(op.result))
    sizes = (str(op.type.elements), str(op.input.type.shape[-1]))
    return (Call(emitter.choice.functions[0], (*pointers, *sizes)),)


RULE: Rule[Argmax] = Rule(choose, emit)
