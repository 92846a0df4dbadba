"""Removal of what nobody reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context, called


@dataclass(frozen=True)
class DeadCode(Pass):
    """An operation has no effect but its result: one that is never read may go, and then those it alone read.

    Before: any module. After: every result is read by an operation or is an output, and `resources` and `derived`
    hold only arrays that a constant needs. Inputs stay, since callers name them.
    """

    name: ClassVar[str] = "dead-code"

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        for op in reversed(module.graph.operations[:]):
            if rewriter.unread(op):
                rewriter.erase(op)
                if op.opcode != "constant":
                    context.applied(self.name, f"removed {called(op)}", op)
        _drop_arrays(module)


def _drop_arrays(module: Module) -> None:
    needed = {op.attributes["resource"] for op in module.graph.constants()}
    for name in reversed(module.derived):
        if name in needed:
            needed.update(module.derived[name].sources)
    for table in (module.derived, module.resources):
        for name in [name for name in table if name not in needed]:
            del table[name]
