"""Tables of functions on Helium: 16 entries gathered at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import lookup
from mnetdsl.ir.ops.lookup import Lookup


def fits(op: Lookup) -> bool:
    bytes = (op.input.type.element.byte_width, op.type.element.byte_width)
    return op.table.type.rank == 1 and bytes == (1, 1)


def choose(op: Lookup) -> Choice:
    """In place too: a vector is read before it is written."""
    return replace(lookup.choose(op), sources=("helium/common", "helium/lookup"))


def emit(op: Lookup, emitter: Emitter) -> Sequence[Call]:
    operands = (emitter.address(op.input), emitter.address(op.result), emitter.table(op.table))
    return (Call("helium_lookup", (*operands, str(op.type.elements))),)


RULE: Rule[Lookup] = Rule(choose, emit)
