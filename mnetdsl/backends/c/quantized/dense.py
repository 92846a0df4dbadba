"""dense on stored integers: the pointwise kernel on one pixel."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_constant
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.conv2d import arrange_panels
from mnetdsl.backends.c.ops.window import backward, forward, last_panel
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.conv2d import SOURCES
from mnetdsl.backends.c.quantized.levels import levels, requantization, variant, width
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.plan.sweep import pixel_sweep
from mnetdsl.plan.tasks import Mode


def choose(op: Dense) -> Choice:
    require_constant(op, op.filter, op.bias, op.filter_scale, op.filter_zero_point)
    features, outputs = op.filter.type.shape
    tail = last_panel(outputs, width(op.result))
    sweep = pixel_sweep(1, features * width(op.input), outputs * width(op.result), tail)
    return Choice(
        title="dense",
        sources=SOURCES,
        functions=(variant("pointwise", op.input, op.result),),
        reads=(op.input,),
        modes=(
            Mode("forward", (forward(sweep, op.input.type),)),
            Mode("backward", (backward(sweep, op.input.type, op.type),)),
        ),
        macs=op.filter.type.elements,
        activation=op.activation,
    )


def emit(op: Dense, emitter: Emitter) -> Sequence[Call]:
    features, outputs = op.filter.type.shape
    arguments = (
        levels(op, emitter),
        emitter.address(op.input),
        emitter.address(op.result),
        emitter.table(op.filter, "panels", arrange_panels),
        *requantization(op, emitter),
        "1",
        str(features),
        str(outputs),
        emitter.direction,
    )
    return (Call(emitter.choice.functions[0], arguments),)


RULE: Rule[Dense] = Rule(choose, emit)
