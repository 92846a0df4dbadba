"""A constant that the caller asked for as an output: its elements are copied there. Others need no code."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.core import Value
from mnetdsl.plan.tasks import apart


def choose_copy(value: Value) -> Choice:
    """Copies a value that already lives elsewhere (an input, a constant, another output) to an output."""
    return Choice("copy", ("copy",), ("copy",), (value,), (apart(1),))


def emit_copy(value: Value, target: str, emitter: Emitter) -> Sequence[Call]:
    return (Call("copy", (emitter.address(value), target, str(value.type.byte_size))),)
