"""add and mul, with broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mnetdsl.backends.c.choice import Choice, Rule, require_float
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.types import MAX_RANK, Shape
from mnetdsl.plan.tasks import Clearance, Mode

LOOPS = MAX_RANK - 1
"""Of the kernel: one for each dimension but the batch."""


def broadcast_groups(left: Shape, right: Shape) -> list[tuple[int, bool, bool]]:
    """Neighbouring dimensions that behave alike, joined: (size, left has it, right has it)."""
    groups: list[tuple[int, bool, bool]] = []
    for a, b in zip(left, right, strict=True):
        size = max(a, b)
        if size == 1:
            continue
        kind = (a == size, b == size)
        if groups and groups[-1][1:] == kind:
            groups[-1] = (groups[-1][0] * size, *kind)
        else:
            groups.append((size, *kind))
    return groups


def gated(op: Elementwise) -> tuple[Value, Value] | None:
    """Map and gates, one a channel, where `op` is their product: what squeeze and excite ends in."""
    if op.opcode == "mul":
        for map, gates in ((op.left, op.right), (op.right, op.left)):
            kinds = [group[1:] for group in broadcast_groups(map.type.shape, gates.type.shape)]
            if kinds == [(True, False), (True, True)]:
                return map, gates
    return None


def choose(op: Elementwise) -> Choice:
    require_float(op, op.left, op.right)
    gate = gated(op) is not None
    return Choice(
        title=f"{op.opcode} by channel" if gate else op.opcode,
        sources=("activation", "gate" if gate else "elementwise"),
        functions=("gate" if gate else op.opcode,),
        reads=(op.left, op.right),
        modes=(Mode("forward", (_clearance(op, op.left.type.shape), _clearance(op, op.right.type.shape))),),
        activation=op.activation,
    )


def _clearance(op: Elementwise, shape: Shape) -> Clearance | None:
    """An operand of the output's shape is read just before the result is written; a broadcast one again later."""
    return Clearance(above=op.type.byte_size, below=0, same=True) if shape == op.type.shape else None


def emit(op: Elementwise, emitter: Emitter) -> Sequence[Call]:
    pair = gated(op)
    if pair is not None:
        channels = op.type.shape[-1]
        sizes = (str(op.type.elements // channels), str(channels))
        addresses = (*map(emitter.address, pair), emitter.address(op.result))
        return (Call("gate", (*addresses, *sizes, emitter.activation)),)
    table = emitter.shape("broadcast", *loops(op.left.type.shape, op.right.type.shape))
    operands = (emitter.address(op.left), emitter.address(op.right), emitter.address(op.result))
    return (Call(op.opcode, (table, *operands, emitter.activation)),)


def loops(left: Shape, right: Shape) -> tuple[str, str, str]:
    """C text of sizes and strides of both operands, loop by loop; a stride is 0 where an operand is broadcast."""
    groups = broadcast_groups(left, right)
    groups = [(1, False, False)] * (LOOPS - len(groups)) + groups
    sizes = [size for size, _, _ in groups]

    def strides(side: int) -> list[int]:
        held = [group[0] if group[side] else 1 for group in groups]
        return [prod(held[i + 1 :]) if groups[i][side] else 0 for i in range(LOOPS)]

    return _braces(sizes), _braces(strides(1)), _braces(strides(2))


def _braces(values: Sequence[int]) -> str:
    return "{" + ", ".join(map(str, values)) + "}"


RULE: Rule[Elementwise] = Rule(choose, emit)
