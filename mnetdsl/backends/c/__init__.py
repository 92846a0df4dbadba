"""C99 for anything with a C compiler: IR -> plan -> C program model -> files (docs/c_api.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnetdsl.backends.c.lower import Options, lower, plan_memory
from mnetdsl.backends.c.program import Program
from mnetdsl.backends.c.selftest import SelfTest
from mnetdsl.cost.instructions import Cost
from mnetdsl.ir.core import Module, Op
from mnetdsl.plan import Memory, Plan
from mnetdsl.plan.rows import Bands
from mnetdsl.targets import Core

__all__ = ["CPackage", "Options", "SelfTest", "generate", "plan_memory", "plan_rows"]


def plan_rows(
    module: Module, core: Core | None = None, memories: Sequence[Memory] = (), bands: Bands | None = None
) -> Plan:
    """As `plan_memory`, for a network that is fed by rows. Raises MN1115 where it cannot be."""
    from mnetdsl.backends.c.rows import plan_row_memory

    return plan_row_memory(module, core=core, memories=memories, wanted=bands).plan


@dataclass(frozen=True, eq=False)
class CPackage:
    """A model as C files by name, with the decisions behind them.

    `operations[i]` is the operation behind layer i; None where the layer copies a value to an output. `costs`
    are its kernel calls as the cost model sees them.
    """

    files: dict[str, bytes]
    program: Program
    plan: Plan
    operations: tuple[Op | None, ...]
    costs: tuple[tuple[Cost, ...], ...]


def generate(module: Module, name: str | None = None, options: Options | None = None) -> CPackage:
    """C files of an optimized module, for a folder of their own; `name` (the module's by default) prefixes all.

    Raises `MnetError`: MN0720 where weights are not loaded, MN1112 where they are not finite, MN1110 or MN1111
    where an operation has no C kernel. Write the files with `mnetdsl.files.write_folder`.
    """
    from mnetdsl.backends.c.render import render

    chosen = options or Options()
    if chosen.rows:
        from mnetdsl.backends.c.rows import lower_rows

        lowered = lower_rows(module, name or module.name, chosen)
    else:
        lowered = lower(module, name or module.name, chosen)
    return CPackage(render(lowered.program), lowered.program, lowered.plan, lowered.operations, lowered.costs)
