"""Whether generated C fits the flash and RAM of its target, before anything is flashed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mnetdsl.diagnostics import Diagnostic, error
from mnetdsl.files import format_size
from mnetdsl.ir.core import Module
from mnetdsl.plan import Arena, Memory, Plan
from mnetdsl.plan.result import Buffer


@dataclass(frozen=True)
class Budget:
    """Bytes that a target offers; None is not limited.

    `part` names the part whose RAM this is, empty where a person gave a number. `memories` are that RAM piece by piece,
    the fastest first, and `ram` the largest of them.
    """

    flash: int | None = None
    ram: int | None = None
    part: str = ""
    memories: tuple[Memory, ...] = ()


def over_budget(module: Module, plan: Plan, budget: Budget) -> Iterator[Diagnostic]:
    """MN1103 and MN1104: required, available, excess, and the layer to blame, of an optimized module.

    RAM is the arena, exactly, where the plan knows of memories in each of them; flash the constants, to which the code
    of the kernels comes.
    """
    if budget.memories:
        yield from (_over_memory(module, plan, arena, budget) for arena in plan.arenas if arena.excess)
    elif budget.ram is not None and plan.arena_bytes > budget.ram:
        names = [buffer.name for buffer in plan.peak_buffers]
        met = _met(plan.peak_buffers)
        yield error(
            "MN1103",
            f"the arena needs {plan.arena_bytes:,} bytes of RAM, {budget.ram:,} are available: "
            f"{plan.arena_bytes - budget.ram:,} too many",
            location=_place(module, names),
            help="lower the resolution or the width of the layers that meet there",
            notes=f"at the peak meet {met}" if met else (),
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
            notes=f"the largest is `{largest.name}` ({largest.type.byte_size:,} bytes)",
        )


def _over_memory(module: Module, plan: Plan, arena: Arena, budget: Budget) -> Diagnostic:
    """MN1103 for one of several memories, which are as full as they get."""
    others = [memory for memory in budget.memories if memory.name != arena.memory]
    beside = " and ".join(f"{memory.name} ({format_size(memory.bytes)})" for memory in others)
    notes = [f"at the peak meet there {_met(arena.peak_buffers)}"]
    if beside:
        notes.append(f"a tensor lies in one memory; `{budget.part}` has beside this one {beside}")
        notes.append(f"all tensors together need {plan.lower_bound:,} bytes at least")
    return error(
        "MN1103",
        f"{arena.memory} of `{budget.part}` has to hold {arena.bytes:,} bytes of RAM, {arena.available or 0:,} are "
        f"available: {arena.excess:,} too many",
        location=_place(module, [buffer.name for buffer in arena.peak_buffers]),
        help="lower the resolution or the width of the layers that meet there, or feed rows",
        notes=tuple(notes),
    )


def _met(buffers: Sequence[Buffer]) -> str:
    """The largest of them."""
    large = sorted(buffers, key=lambda buffer: -buffer.size)[:_SHOWN] if len(buffers) > _SHOWN else buffers
    more = f" and {len(buffers) - _SHOWN} more" if len(buffers) > _SHOWN else ""
    return " and ".join(f"`{buffer.name}` ({buffer.size:,} bytes)" for buffer in large) + more


_SHOWN = 6
"""Of what meets at a peak: rows may be many."""


def _place(module: Module, names: list[str]) -> str | None:
    """The line of the layer whose output is the last of the buffers at the peak."""
    return next((str(op.location) for op in reversed(module.graph.operations) if op.name in names), None)
