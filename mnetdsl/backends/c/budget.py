"""Whether generated C fits the flash and RAM of its target, before anything is flashed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mnetdsl.diagnostics import Diagnostic, error
from mnetdsl.files import format_size
from mnetdsl.ir.core import Module, Op
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


def over_budget(module: Module, plan: Plan, budget: Budget, rows: bool = False) -> Iterator[Diagnostic]:
    """MN1103 and MN1104: required, available, excess, and the layer to blame, of an optimized module.

    RAM is the arena, exactly, where the plan knows of memories in each of them; flash the constants as they are before
    kernels lay them out (`over_flash` knows them exactly). `rows`: the plan is one of rows.
    """
    if budget.memories:
        yield from (_over_memory(module, plan, arena, budget, rows) for arena in plan.arenas if arena.excess)
    elif budget.ram is not None and plan.arena_bytes > budget.ram:
        met = _met(_at_peak(plan, rows))
        yield error(
            "MN1103",
            f"the arena needs {plan.arena_bytes:,} bytes of RAM, {budget.ram:,} are available: "
            f"{plan.arena_bytes - budget.ram:,} too many",
            location=_place(module, plan, plan.peak_buffers),
            help=_less_ram(module, rows),
            notes=f"at the peak meet {met}" if met else (),
        )
    yield from over_flash(module, budget.flash)


def over_flash(module: Module, flash: int | None, laid_out: int | None = None) -> Iterator[Diagnostic]:
    """MN1104 where the constants exceed `flash` bytes, None for any number; the code of the kernels comes to them.

    `laid_out`: bytes of the tables that kernels read (`Program.weight_bytes`), which are padded, interleaved and
    hold factors that the graph has as attributes. None: what the graph's constants take, since the tables need weights.
    """
    constants = sorted(module.graph.constants(), key=lambda op: (-op.type.byte_size, op.name))
    required = sum(op.type.byte_size for op in constants) if laid_out is None else laid_out
    if flash is not None and required > flash:
        largest = constants[0]
        state = " before kernels lay them out" if laid_out is None else ""
        yield error(
            "MN1104",
            f"the constants need {required:,} bytes of flash{state}, {flash:,} are available: "
            f"{required - flash:,} too many",
            location=str(largest.location),
            help=f"lower the width multiplier, or {_less_flash(constants)}",
            notes=f"the largest is `{largest.name}` ({largest.type.byte_size:,} bytes)",
        )


def _over_memory(module: Module, plan: Plan, arena: Arena, budget: Budget, rows: bool) -> Diagnostic:
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
        location=_place(module, plan, arena.peak_buffers),
        help=_less_ram(module, rows),
        notes=tuple(notes),
    )


def _met(buffers: Sequence[Buffer]) -> str:
    """The largest of them."""
    large = sorted(buffers, key=lambda buffer: -buffer.size)[:_SHOWN] if len(buffers) > _SHOWN else buffers
    more = f" and {len(buffers) - _SHOWN} more" if len(buffers) > _SHOWN else ""
    return " and ".join(f"`{buffer.name}` ({buffer.size:,} bytes)" for buffer in large) + more


_SHOWN = 6
"""Of what meets at a peak: rows may be many."""


def _at_peak(plan: Plan, rows: bool) -> Sequence[Buffer]:
    """What meets in the only arena, with what the task works in: of rows that are most of the bytes."""
    scratch = plan.steps[plan.peak].scratch
    if not rows or scratch is None:
        return plan.peak_buffers
    name = "strips of rows" if plan.peak == 0 else "scratch memory"
    return (*plan.peak_buffers, Buffer(name, scratch.offset, scratch.size, plan.peak, plan.peak))


def _less_ram(module: Module, rows: bool) -> str:
    """What to do about the arena; a network of one image may be fed by rows, where it is not yet."""
    narrower = "lower the resolution or the width of the layers that meet there"
    ports = module.graph.inputs
    one_image = len(ports) == 1 and len(ports[0].value.type.shape) == _IMAGE_RANK
    return f"{narrower}, or feed rows: `mnet compile --feed rows`" if one_image and not rows else narrower


_IMAGE_RANK = 4


def _less_flash(constants: Sequence[Op]) -> str:
    """What makes constants smaller without a narrower network: floats take four times the flash of bytes."""
    floats = sum(op.type.byte_size for op in constants if op.type.element.is_float)
    if 2 * floats > sum(op.type.byte_size for op in constants):
        return "quantize the weights to int8"
    return "leave out channels that hold one number whatever the input: `--fold-constant-channels`"


def _place(module: Module, plan: Plan, met: Sequence[Buffer]) -> str | None:
    """The line of the last layer whose result is one of the buffers at the peak."""
    results = [value for value in plan.places if plan.buffer(value) in met]
    names = {buffer.name for buffer in met} | {value.producer.name for value in results if value.producer}
    return next((str(op.location) for op in reversed(module.graph.operations) if op.name in names), None)
