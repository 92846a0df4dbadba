"""conv2d of stored integers: pointwise where each output pixel reads one input pixel, the general kernel else."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_constant
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.conv2d import arrange_panels, is_pointwise
from mnetdsl.backends.c.ops.window import backward, forward, last_panel, window_of
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import levels, requantization, variant, width
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.plan.sweep import pixel_sweep
from mnetdsl.plan.tasks import Mode

SOURCES = ("sweep", "panel", "window", "quantized", "quantized_conv2d")


def choose(op: Conv2d) -> Choice:
    require_constant(op, op.filter, op.bias, op.filter_scale, op.filter_zero_point)
    pixels, channels = op.type.elements // op.type.shape[3], op.type.shape[3]
    window = window_of(op)
    tail = last_panel(channels, width(op.result))
    if is_pointwise(op):
        sweep = pixel_sweep(pixels, op.input.type.shape[3] * width(op.input), channels * width(op.result), tail)
    else:
        sweep = window.sweep(tail)
    taps = op.filter.type.elements // channels
    return Choice(
        title=f"conv {window.kind}",
        sources=SOURCES,
        functions=(variant("pointwise" if is_pointwise(op) else "conv2d", op.input, op.result),),
        reads=(op.input,),
        modes=(
            Mode("forward", (forward(sweep, op.input.type),)),
            Mode("backward", (backward(sweep, op.input.type, op.type),)),
        ),
        macs=pixels * taps * channels,
        activation=op.activation,
    )


def emit(op: Conv2d, emitter: Emitter) -> Sequence[Call]:
    height, columns, channels = op.type.shape[1:]
    operands = (
        levels(op, emitter),
        emitter.address(op.input),
        emitter.address(op.result),
        emitter.table(op.filter, "panels", arrange_panels),
        *requantization(op, emitter),
    )
    function = emitter.choice.functions[0]
    if is_pointwise(op):
        sizes = (str(height * columns), str(op.input.type.shape[3]), str(channels))
        return (Call(function, (*operands, *sizes, emitter.direction)),)
    return (Call(function, (window_of(op).table(emitter), *operands, "0", str(height), emitter.direction)),)


RULE: Rule[Conv2d] = Rule(choose, emit)
