"""Unary functions and clamp as layers of their own, in place in either direction."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_float
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.literals import float_literal
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.unary import Clamp, UnaryOp
from mnetdsl.plan.tasks import Clearance, Mode


def flat_modes(value: Value) -> tuple[Mode, ...]:
    """Element i reads element i: forward the output lies anywhere below the input, backward anywhere above."""
    size = value.type.byte_size
    return (
        Mode("forward", (Clearance(above=size, below=0, same=True),)),
        Mode("backward", (Clearance(above=0, below=size, same=True),)),
    )


def choose(op: UnaryOp) -> Choice:
    require_float(op, op.input)
    return Choice(
        title=op.opcode,
        sources=("sweep", "activation", "unary"),
        functions=("unary",),
        reads=(op.input,),
        modes=flat_modes(op.input),
        activation=op.opcode,
    )


def emit(op: UnaryOp, emitter: Emitter) -> Sequence[Call]:
    pointers = (emitter.address(op.input), emitter.address(op.result))
    return (Call("unary", (*pointers, str(op.type.elements), emitter.activation, emitter.direction)),)


def choose_clamp(op: Clamp) -> Choice:
    require_float(op, op.input)
    return Choice(
        title=f"clamp {op.low:g} to {op.high:g}",
        sources=("sweep", "unary"),
        functions=("clamp",),
        reads=(op.input,),
        modes=flat_modes(op.input),
    )


def emit_clamp(op: Clamp, emitter: Emitter) -> Sequence[Call]:
    pointers = (emitter.address(op.input), emitter.address(op.result))
    limits = (float_literal(op.low), float_literal(op.high))
    return (Call("clamp", (*pointers, str(op.type.elements), *limits, emitter.direction)),)


RULE: Rule[UnaryOp] = Rule(choose, emit)
CLAMP_RULE: Rule[Clamp] = Rule(choose_clamp, emit_clamp)
