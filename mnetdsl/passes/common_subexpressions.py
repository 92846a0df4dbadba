"""One computation for equal computations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.equality import attributes_key
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context, called

COMMUTATIVE = frozenset({"add", "mul"})


@dataclass(frozen=True)
class CommonSubexpressions(Pass):
    """Operations are functions: the same one with the same attributes on the same values gives the same result.

    `add` and `mul` are the same in either order, bit for bit. Before: any module. After: no two operations are equal
    in this sense; the first one stays, under its name.
    """

    name: ClassVar[str] = "common-subexpressions"

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        numbers: dict[Value, int] = {}
        for port in module.graph.inputs:
            numbers[port.value] = len(numbers)
        first: dict[object, Op] = {}
        for op in rewriter.operations():
            kept = first.setdefault(_key(op, numbers), op)
            if kept is op:
                numbers[op.result] = len(numbers)
                continue
            rewriter.replace_with_value(op, kept.result)
            if op.opcode != "constant":
                context.applied(self.name, f"replaced {called(op)} by {called(kept)}", op)


def _key(op: Op, numbers: dict[Value, int]) -> object:
    groups = [tuple(numbers[value] for value in op.operand_group(definition.name)) for definition in op.operand_defs]
    if op.opcode in COMMUTATIVE:
        groups.sort()
    return op.opcode, tuple(groups), attributes_key(op.attributes), op.type
