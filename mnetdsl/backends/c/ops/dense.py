"""dense: the pointwise kernel on one pixel."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_constant, require_float
from mnetdsl.backends.c.emitter import C_NULL, Emitter
from mnetdsl.backends.c.ops.conv2d import arrange_panels
from mnetdsl.backends.c.ops.window import FLOAT, backward, forward, last_panel
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.plan.sweep import pixel_sweep
from mnetdsl.plan.tasks import Mode


def choose(op: Dense) -> Choice:
    require_constant(op, op.filter, op.bias)
    require_float(op, op.input)
    features, outputs = op.filter.type.shape
    sweep = pixel_sweep(1, features * FLOAT, outputs * FLOAT, last_panel(outputs))
    return Choice(
        title="dense",
        sources=("sweep", "activation", "panel", "conv2d"),
        functions=("pointwise",),
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
        emitter.address(op.input),
        C_NULL,
        emitter.address(op.result),
        emitter.table(op.filter, "panels", arrange_panels),
        emitter.optional_table(op.bias),
        "1",
        str(features),
        str(outputs),
        emitter.activation,
        emitter.direction,
    )
    return (Call("pointwise", arguments),)


RULE: Rule[Dense] = Rule(choose, emit)
