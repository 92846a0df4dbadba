"""lookup: one read of the input and one of the table for each element."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_constant
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import variant
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.plan.tasks import Clearance, Mode


def choose(op: Lookup) -> Choice:
    require_constant(op, op.table)
    alike = op.input.type.byte_size == op.type.byte_size
    clearance = Clearance(above=op.input.type.byte_size, below=0 if alike else op.type.byte_size, same=alike)
    return Choice(
        title="lookup",
        sources=("quantized_lookup",),
        functions=(variant("lookup", op.input, op.result),),
        reads=(op.input,),
        modes=(Mode("forward", (clearance,)),),
    )


def emit(op: Lookup, emitter: Emitter) -> Sequence[Call]:
    rows = op.table.type.shape[0] if op.table.type.rank == 2 else 1
    operands = (emitter.address(op.input), emitter.address(op.result), emitter.table(op.table))
    return (Call(emitter.choice.functions[0], (*operands, str(op.type.elements), str(rows))),)


RULE: Rule[Lookup] = Rule(choose, emit)
