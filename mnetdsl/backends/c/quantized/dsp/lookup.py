"""lookup of 8-bit numbers, four at a time. A table that only turns the sign bit, which is what becomes of an unsigned
image, is no table at all: sixteen bytes in fourteen instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import lookup
from mnetdsl.backends.c.quantized.levels import width
from mnetdsl.ir.ops.lookup import Lookup

_SIGN = 0x80


def fits(op: Lookup) -> bool:
    """One table of 8-bit numbers for all channels."""
    return op.table.type.rank == 1 and width(op.input) == width(op.result) == 1


def choose(op: Lookup) -> Choice:
    """Some bytes are read before they are written, which is safe wherever one by one is."""
    return replace(lookup.choose(op), sources=("dsp/job", "dsp/lookup"), functions=("dsp_lookup",))


def emit(op: Lookup, emitter: Emitter) -> Sequence[Call]:
    table = emitter.constant(op.table)[1].view(np.uint8).reshape(-1)
    operands = (emitter.address(op.input), emitter.address(op.result))
    if np.array_equal(table, np.arange(256, dtype=np.uint8) ^ _SIGN):
        return (Call("dsp_flip", (*operands, str(op.type.elements))),)
    return (Call("dsp_lookup", (*operands, emitter.table(op.table), str(op.type.elements))),)


RULE: Rule[Lookup] = Rule(choose, emit)
