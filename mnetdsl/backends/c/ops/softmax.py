"""softmax over the last axis; row by row, so in place where the output lies at or below the input."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_float
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.plan.tasks import Clearance, Mode


def choose(op: Softmax) -> Choice:
    require_float(op, op.input)
    return Choice(
        title="softmax",
        sources=("softmax",),
        functions=("softmax",),
        reads=(op.input,),
        modes=(Mode("forward", (Clearance(above=op.type.byte_size, below=0, same=True),)),),
    )


def emit(op: Softmax, emitter: Emitter) -> Sequence[Call]:
    channels = op.type.shape[-1]
    pointers = (emitter.address(op.input), emitter.address(op.result))
    return (Call("softmax", (*pointers, str(op.type.elements // channels), str(channels))),)


RULE: Rule[Softmax] = Rule(choose, emit)
