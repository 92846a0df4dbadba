"""lookup: one read of the input and one of the table for each element."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_constant
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import variant
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.tasks import Clearance, Mode


def choose(op: Lookup) -> Choice:
    require_constant(op, op.table)
    return choose_lookup("lookup", op.input, op.result)


def choose_lookup(title: str, source: Value, result: Value) -> Choice:
    """Element by element, first to last."""
    alike = source.type.byte_size == result.type.byte_size
    clearance = Clearance(above=source.type.byte_size, below=0 if alike else result.type.byte_size, same=alike)
    return Choice(
        title=title,
        sources=("quantized_lookup",),
        functions=(variant("lookup", source, result),),
        reads=(source,),
        modes=(Mode("forward", (clearance,)),),
    )


def emit(op: Lookup, emitter: Emitter) -> Sequence[Call]:
    rows = op.table.type.shape[0] if op.table.type.rank == 2 else 1
    return emit_lookup(op.input, op.result, emitter.table(op.table), rows, emitter)


def emit_lookup(source: Value, result: Value, table: str, rows: int, emitter: Emitter) -> Sequence[Call]:
    """`rows` tables for 8-bit numbers, by channel; 16-bit ones have one table, of fewer entries than numbers."""
    operands = (emitter.address(source), emitter.address(result), table, str(result.type.elements))
    by_channel = () if source.type.element is ElementType.I16 else (str(rows),)
    return (Call(emitter.choice.functions[0], (*operands, *by_channel)),)


RULE: Rule[Lookup] = Rule(choose, emit)
