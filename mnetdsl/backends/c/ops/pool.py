"""Average and largest of a window, and the mean over a whole map."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_float
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.window import FLOAT, backward, forward, window_of
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.pool import GlobalAvgPool, Pool
from mnetdsl.plan.tasks import Clearance, Mode


def choose(op: Pool) -> Choice:
    """A channel reads no other, so all of a pixel counts as written after its last read."""
    require_float(op, op.input)
    window = window_of(op)
    sweep = window.sweep(tail=op.type.shape[3] * FLOAT)
    return Choice(
        title=f"{op.opcode.replace('_', ' ')} {window.kind}",
        sources=("sweep", "window", "pool"),
        functions=(op.opcode,),
        reads=(op.input,),
        modes=(
            Mode("forward", (forward(sweep, op.input.type),)),
            Mode("backward", (backward(sweep, op.input.type, op.type),)),
        ),
        macs=op.type.elements * op.kernel[0] * op.kernel[1],
    )


def emit(op: Pool, emitter: Emitter) -> Sequence[Call]:
    pointers = (emitter.address(op.input), emitter.address(op.result))
    band = ("0", str(op.type.shape[1]))
    return (Call(op.opcode, (window_of(op).table(emitter), *pointers, *band, emitter.direction)),)


def choose_global(op: GlobalAvgPool) -> Choice:
    """Of the first row, channel c of all pixels is read before the sum takes the place of channel c of the first
    pixel; of later rows the sum touches nothing."""
    require_float(op, op.input)
    return Choice(
        title="global avg pool",
        sources=("pool",),
        functions=("global_avg_pool",),
        reads=(op.input,),
        modes=(Mode("forward", (Clearance(above=op.input.type.byte_size, below=0, same=True),)),),
        macs=op.input.type.elements,
    )


def emit_global(op: GlobalAvgPool, emitter: Emitter) -> Sequence[Call]:
    height, width, channels = op.input.type.shape[1:]
    arguments = (emitter.address(op.input), emitter.address(op.result), *map(str, (height, width, channels)))
    return (Call("global_avg_pool", (*arguments, "0", str(height))),)


WINDOW_RULE: Rule[Pool] = Rule(choose, emit)
GLOBAL_RULE: Rule[GlobalAvgPool] = Rule(choose_global, emit_global)
