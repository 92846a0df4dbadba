"""Means over whole maps on Helium: 16 channels added up at a time, in 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import pool
from mnetdsl.ir.ops.pool import GlobalAvgPool, Pool
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.tasks import Clearance, Mode

_LEAST, _MOST = 3, 4096
"""Numbers of a mean whose division is a multiplication: 1 / count has 31 bits, and the product is exact."""
_SOURCES = ("quantized", "quantized_pool", "helium/common", "helium/mean")


def fits(op: GlobalAvgPool) -> bool:
    return {op.input.type.element, op.type.element} == {ElementType.I8}


def choose(op: GlobalAvgPool) -> Choice:
    """In place as the portable kernel: of some channels all is read before their means are written."""
    portable = pool.choose_global(op)
    return replace(portable, sources=_SOURCES)


def emit(op: GlobalAvgPool, emitter: Emitter) -> Sequence[Call]:
    (call,) = pool.emit_global(op, emitter)
    return (Call("helium_mean", call.arguments),)


def fits_average(op: Pool) -> bool:
    """Whether the only window of an average is the whole map."""
    count = op.kernel[0] * op.kernel[1]
    whole = op.type.shape[1:3] == (1, 1) and op.input.type.shape[1:3] == tuple(op.kernel) and not any(op.padding)
    return whole and _LEAST <= count <= _MOST and {op.input.type.element, op.type.element} == {ElementType.I8}


def choose_average(op: Pool) -> Choice:
    """As for a mean: of some channels all is read before their averages are written."""
    mode = Mode("forward", (Clearance(op.input.type.byte_size, 0, same=True),))
    return replace(pool.choose(op), sources=_SOURCES, modes=(mode,))


def emit_average(op: Pool, emitter: Emitter) -> Sequence[Call]:
    count = op.kernel[0] * op.kernel[1]
    numbers = emitter.shape("average", count // 2, -(-(1 << 32) // count))
    pointers = (emitter.address(op.input), emitter.address(op.result))
    return (Call("helium_average", (numbers, *pointers, str(count), str(op.type.shape[3]))),)


AVERAGE_RULE: Rule[Pool] = Rule(choose_average, emit_average)
RULE: Rule[GlobalAvgPool] = Rule(choose, emit)
