"""matmul: the product of two computed matrices."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_float
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.literals import float_literal
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.matmul import Matmul
from mnetdsl.plan.tasks import apart


def choose(op: Matmul) -> Choice:
    require_float(op, op.left, op.right)
    return Choice(
        title="matmul",
        sources=("matmul",),
        functions=("matmul",),
        reads=(op.left, op.right),
        modes=(apart(2),),
        macs=op.type.elements * op.left.type.shape[2],
    )


def emit(op: Matmul, emitter: Emitter) -> Sequence[Call]:
    _, rows, depth = op.left.type.shape
    columns = op.type.shape[2]
    steps = (1, depth) if op.transpose == "right" else (columns, 1)
    pointers = (emitter.address(op.left), emitter.address(op.right), emitter.address(op.result))
    sizes = (rows, depth, columns, *steps)
    return (Call("matmul", (*pointers, *map(str, sizes), float_literal(op.scale))),)


RULE: Rule[Matmul] = Rule(choose, emit)
