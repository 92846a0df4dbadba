"""Means over whole maps on Helium: 16 channels added up at a time, in 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import pool
from mnetdsl.ir.ops.pool import GlobalAvgPool
from mnetdsl.ir.types import ElementType


def fits(op: GlobalAvgPool) -> bool:
    return {op.input.type.element, op.type.element} == {ElementType.I8}


def choose(op: GlobalAvgPool) -> Choice:
    """In place as the portable kernel: of some channels all is read before their means are written."""
    portable = pool.choose_global(op)
    return replace(portable, sources=(*portable.sources, "helium/common", "helium/mean"))


def emit(op: GlobalAvgPool, emitter: Emitter) -> Sequence[Call]:
    (call,) = pool.emit_global(op, emitter)
    return (Call("helium_mean", call.arguments),)


RULE: Rule[GlobalAvgPool] = Rule(choose, emit)
