"""batch_norm that no convolution took up: (x - mean) * gain + offset, the gain computed at compile time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnetdsl.backends.c.choice import Choice, Rule, require_constant, require_float
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.batch_norm import BatchNorm
from mnetdsl.plan.tasks import Clearance, Mode


def choose(op: BatchNorm) -> Choice:
    require_constant(op, op.scale, op.offset, op.mean, op.variance)
    require_float(op, op.input)
    return Choice(
        title="batch norm",
        sources=("batch_norm",),
        functions=("batch_norm",),
        reads=(op.input,),
        modes=(Mode("forward", (Clearance(above=op.type.byte_size, below=0, same=True),)),),
        macs=op.type.elements,
    )


def emit(op: BatchNorm, emitter: Emitter) -> Sequence[Call]:
    """gain = scale / sqrt(variance + epsilon) in float64, rounded once, as the interpreter does."""
    name, scale = emitter.constant(op.scale)
    _, variance = emitter.constant(op.variance)
    gain = (scale / np.sqrt(variance.astype(np.float64) + op.epsilon)).astype(np.float32)
    channels = op.type.shape[-1]
    arguments = (
        emitter.address(op.input),
        emitter.address(op.result),
        emitter.table(op.mean),
        emitter.add(f"{name}.gain", gain),
        emitter.table(op.offset),
        str(op.type.elements // channels),
        str(channels),
    )
    return (Call("batch_norm", arguments),)


RULE: Rule[BatchNorm] = Rule(choose, emit)
