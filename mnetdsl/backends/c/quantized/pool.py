"""Average and largest of a window, and the mean over a whole map, of stored integers."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.window import backward, forward, window_of
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import limits, mean_numbers, variant, width
from mnetdsl.ir.ops.pool import GlobalAvgPool, Pool
from mnetdsl.plan.tasks import Clearance, Mode

CHANNELS = 4
"""That a pool takes at once."""


def _tell_rest(channels: int, emitter: Emitter) -> None:
    """Networks whose channels come by fours do not carry what finishes others."""
    if channels % CHANNELS:
        emitter.parts.add("pool_rest")


def choose(op: Pool) -> Choice:
    """A channel reads no other, so all of a pixel counts as written after its last read."""
    window = window_of(op)
    sweep = window.sweep(tail=op.type.shape[3] * width(op.result))
    return Choice(
        title=f"{op.opcode.replace('_', ' ')} {window.kind}",
        sources=("sweep", "window", "quantized", "quantized_pool"),
        functions=(variant(op.opcode, op.input, op.result),),
        reads=(op.input,),
        modes=(
            Mode("forward", (forward(sweep, op.input.type),)),
            Mode("backward", (backward(sweep, op.input.type, op.type),)),
        ),
        macs=op.type.elements * op.kernel[0] * op.kernel[1],
    )


def emit(op: Pool, emitter: Emitter) -> Sequence[Call]:
    _tell_rest(op.type.shape[3], emitter)
    pointers = (emitter.address(op.input), emitter.address(op.result))
    bounds = tuple(map(str, limits(op.type.element)))
    band = ("0", str(op.type.shape[1]))
    arguments = (window_of(op).table(emitter), *pointers, *bounds, *band, emitter.direction)
    return (Call(emitter.choice.functions[0], arguments),)


def choose_global(op: GlobalAvgPool) -> Choice:
    """Channel c of all pixels is read before the mean takes the place of channel c of the first pixel."""
    alike = width(op.input) == width(op.result)
    return Choice(
        title="global avg pool",
        sources=("quantized", "quantized_pool"),
        functions=(variant("global_avg_pool", op.input, op.result),),
        reads=(op.input,),
        modes=(Mode("forward", (Clearance(op.input.type.byte_size, 0 if alike else op.type.byte_size, alike),)),),
        macs=op.input.type.elements,
    )


def emit_global(op: GlobalAvgPool, emitter: Emitter) -> Sequence[Call]:
    height, columns, channels = op.input.type.shape[1:]
    _tell_rest(channels, emitter)
    numbers = emitter.shape("mean", *mean_numbers(op))
    pointers = (emitter.address(op.input), emitter.address(op.result))
    return (Call(emitter.choice.functions[0], (numbers, *pointers, str(height * columns), str(channels))),)


WINDOW_RULE: Rule[Pool] = Rule(choose, emit)
GLOBAL_RULE: Rule[GlobalAvgPool] = Rule(choose_global, emit_global)
