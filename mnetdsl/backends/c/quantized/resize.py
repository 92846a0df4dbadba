"""resize of stored integers; the grid stays."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.resize import choose_nearest, emit_bilinear, emit_nearest, title
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import variant
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.tasks import apart


def choose(op: Resize) -> Choice:
    if op.method == "nearest":
        return choose_nearest(op)
    functions = (variant("resize", op.input, op.result),)
    return Choice(title(op), ("quantized_resize",), functions, (op.input,), (apart(1),))


def emit(op: Resize, emitter: Emitter) -> Sequence[Call]:
    if op.method == "nearest":
        return emit_nearest(op, emitter)
    return emit_bilinear(op, emitter, fixed=op.type.element is not ElementType.U8)


RULE: Rule[Resize] = Rule(choose, emit)
