"""pad and concat move elements; reshape is another view of the same bytes and needs no code."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mnetdsl.backends.c.choice import Choice, Rule, require_float
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.literals import float_literal
from mnetdsl.backends.c.ops.window import FLOAT, Window, backward, forward
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.shape import Concat, Pad
from mnetdsl.plan.tasks import Mode, apart


def pad_window(op: Pad) -> Window:
    """Padding is a window of one pixel that may lie outside the map."""
    return Window(op.input.type.shape, op.type.shape, (1, 1), padding=op.padding)


def choose_pad(op: Pad) -> Choice:
    require_float(op, op.input)
    sweep = pad_window(op).sweep(tail=op.type.shape[3] * FLOAT)
    return Choice(
        title=f"pad {op.value:g}",
        sources=("sweep", "window", "shape"),
        functions=("pad",),
        reads=(op.input,),
        modes=(
            Mode("forward", (forward(sweep, op.input.type),)),
            Mode("backward", (backward(sweep, op.input.type, op.type),)),
        ),
    )


def emit_pad(op: Pad, emitter: Emitter) -> Sequence[Call]:
    pointers = (emitter.address(op.input), emitter.address(op.result))
    band = ("0", str(op.type.shape[1]))
    value = float_literal(op.value)
    return (Call("pad", (pad_window(op).table(emitter), *pointers, value, *band, emitter.direction)),)


def choose_concat(op: Concat) -> Choice:
    require_float(op, *op.inputs)
    reads = tuple(op.inputs)
    return Choice(f"concat {len(reads)}", ("shape",), ("concat",), reads, (apart(len(reads)),))


def emit_concat(op: Concat, emitter: Emitter) -> Sequence[Call]:
    """One call per input: `outer` runs of it, each `pitch` elements behind the one before in the output."""
    outer = prod(op.type.shape[: op.axis])
    pitch = op.type.elements // outer
    calls = []
    offset = 0
    for value in op.inputs:
        run = value.type.elements // outer
        target = emitter.address(op.result) + (f" + {offset}" if offset else "")
        calls.append(Call("concat", (emitter.address(value), target, str(outer), str(run), str(pitch))))
        offset += run
    return calls


PAD_RULE: Rule[Pad] = Rule(choose_pad, emit_pad)
CONCAT_RULE: Rule[Concat] = Rule(choose_concat, emit_concat)
