"""normalize: the caller's image, of any element type, to float32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.plan.tasks import Clearance, Mode, apart


def choose(op: Normalize) -> Choice:
    element = op.input.type.element
    in_place = Mode("forward", (Clearance(above=op.type.byte_size, below=0, same=True),))
    return Choice(
        title=f"normalize {element.dtype}",
        sources=("normalize",),
        functions=(f"normalize_{element.dtype}",),
        reads=(op.input,),
        modes=(in_place if element.is_float else apart(1),),
    )


def emit(op: Normalize, emitter: Emitter) -> Sequence[Call]:
    channels = max(len(op.mean), len(op.std))
    name = op.name or "input"
    arguments = (
        emitter.address(op.input),
        emitter.address(op.result),
        emitter.add(f"{name}.mean", np.resize(np.array(op.mean, np.float32), channels)),
        emitter.add(f"{name}.std", np.resize(np.array(op.std, np.float32), channels)),
        str(op.type.elements // channels),
        str(channels),
    )
    return (Call(emitter.choice.functions[0], arguments),)


RULE: Rule[Normalize] = Rule(choose, emit)
