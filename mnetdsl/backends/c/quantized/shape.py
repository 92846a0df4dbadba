"""pad and concat move stored integers; a border is the zero point."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.window import Window, backward, forward
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import require_equal_grids, stored_number, width
from mnetdsl.ir.ops.shape import Concat, Pad
from mnetdsl.plan.tasks import Mode, apart


def pad_window(op: Pad) -> Window:
    """Padding is a window of one pixel that may lie outside the map."""
    bytes = width(op.result)
    return Window(op.input.type.shape, op.type.shape, (1, 1), padding=op.padding, input_width=bytes, output_width=bytes)


def choose_pad(op: Pad) -> Choice:
    sweep = pad_window(op).sweep(tail=op.type.shape[3] * width(op.result))
    return Choice(
        title=f"pad {op.value:g}",
        sources=("sweep", "window", "quantized_shape"),
        functions=(f"border_{width(op.result)}",),
        reads=(op.input,),
        modes=(
            Mode("forward", (forward(sweep, op.input.type),)),
            Mode("backward", (backward(sweep, op.input.type, op.type),)),
        ),
    )


def emit_pad(op: Pad, emitter: Emitter) -> Sequence[Call]:
    pointers = (emitter.address(op.input), emitter.address(op.result))
    band = ("0", str(op.type.shape[1]))
    value = str(stored_number(op.type, op.value))
    arguments = (pad_window(op).table(emitter), *pointers, value, *band, emitter.direction)
    return (Call(emitter.choice.functions[0], arguments),)


def choose_concat(op: Concat) -> Choice:
    require_equal_grids(op, *op.inputs)
    reads = tuple(op.inputs)
    return Choice(f"concat {len(reads)}", ("quantized_shape",), ("move",), reads, (apart(len(reads)),))


def emit_concat(op: Concat, emitter: Emitter) -> Sequence[Call]:
    """One call per input: `outer` runs of it, each `pitch` bytes behind the one before in the output."""
    outer = prod(op.type.shape[: op.axis])
    pitch = op.type.byte_size // outer
    calls = []
    offset = 0
    for value in op.inputs:
        run = value.type.byte_size // outer
        target = emitter.address(op.result) + (f" + {offset // width(op.result)}" if offset else "")
        calls.append(Call("move", (emitter.address(value), target, str(outer), str(run), str(pitch))))
        offset += run
    return calls


PAD_RULE: Rule[Pad] = Rule(choose_pad, emit_pad)
CONCAT_RULE: Rule[Concat] = Rule(choose_concat, emit_concat)
