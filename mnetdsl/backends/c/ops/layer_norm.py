"""layer_norm over the last axis; row by row, so in place where the output lies at or below the input."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_constant, require_float
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.literals import float_literal
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.layer_norm import LayerNorm
from mnetdsl.plan.tasks import Clearance, Mode


def choose(op: LayerNorm) -> Choice:
    require_constant(op, op.scale, op.offset)
    require_float(op, op.input)
    return Choice(
        title="layer norm",
        sources=("layer_norm",),
        functions=("layer_norm",),
        reads=(op.input,),
        modes=(Mode("forward", (Clearance(above=op.type.byte_size, below=0, same=True),)),),
    )


def emit(op: LayerNorm, emitter: Emitter) -> Sequence[Call]:
    channels = op.type.shape[-1]
    arguments = (
        emitter.address(op.input),
        emitter.address(op.result),
        emitter.table(op.scale),
        emitter.table(op.offset),
        str(op.type.elements // channels),
        str(channels),
        float_literal(op.epsilon),
    )
    return (Call("layer_norm", arguments),)


RULE: Rule[LayerNorm] = Rule(choose, emit)
