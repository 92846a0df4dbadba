"""Whether generated C fits the flash and RAM of its target, before anything is flashed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mnetdsl.diagnostics import Diagnostic, error
from mnetdsl.files import format_size
from mnetdsl.ir.core import Module
from mnetdsl.plan import Plan


@dataclass(frozen=True)
class Budget:
    """Bytes that a target offers; None is not limited.

    `part` names the part whose RAM this is, empty where a person gave a number.
    """

    flash: int | None = None
    ram: int | None = None
    part: str = ""


def over_budget(module: Module, plan: Plan, budget: Budget) -> Iterator[Diagnostic]:
    """MN1103 and MN1104: required, available, excess, and the layer to blame, of an optimized module.

    RAM is the arena, exactly; flash the constants, to which the code of the kernels comes.
    """
    if budget.ram is not None and plan.arena_bytes > budget.ram:
        names = [buffer.name for buffer in plan.peak_buffers]
        notes = [f"an arena is one piece of memory, and this is the largest of `{budget.part}`"] if budget.part else []
        met = " and ".join(f"`{buffer.name}` ({format_size(buffer.size)})" for buffer in plan.peak_buffers)
        yield error(
            "MN1103",
            f"the arena needs {plan.arena_bytes:,} bytes of RAM, {budget.ram:,} are available: "
            f"{plan.arena_bytes - budget.ram:,} too many",
            location=_place(module, names),
            help="lower the resolution or the width of the layers that meet there",
            notes=(*([f"at the peak meet {met}"] if met else []), *notes),
        )
    constants = sorted(module.graph.constants(), key=lambda op: (-op.type.byte_size, op.name))
    flash = sum(op.type.byte_size for op in constants)
    if budget.flash is not None and flash > budget.flash:
        largest = constants[0]
        yield error(
            "MN1104",
            f"the constants need {flash:,} bytes of flash, {budget.flash:,} are available: "
            f"{flash - budget.flash:,} too many",
            location=str(largest.location),
            help="lower the width multiplier, or quantize the weights to int8",
            notes=f"the largest is `{largest.name}` ({format_size(largest.type.byte_size)})",
        )


def _place(module: Module, names: list[str]) -> str | None:
    """The line of the layer whose output is the last of the buffers at the peak."""
    return next((str(op.location) for op in reversed(module.graph.operations) if op.name in names), None)
