"""Where the layers of a network that run by rows end, and the memory of these and of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.row_bands import RuleOf, scratch_bytes
from mnetdsl.backends.c.row_drafts import Draft, draft_of, drafts
from mnetdsl.backends.c.row_runs import runs
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.plan import Memory, Mode, Plan, PlannedStep, Scratch, Task, make_plan
from mnetdsl.plan.result import ScratchBuffer
from mnetdsl.plan.rows import Bands, RowSchedule, pack_strips, row_pieces


@dataclass(frozen=True, eq=False)
class Banded:
    """Layers that run by rows: `operations[i]` is that of `schedule.tasks[i]`, None for the copy of a row of the image.

    `strips` lie where the rows of each map but the last do, `scratch` the memory of each task.
    """

    operations: tuple[Op | None, ...]
    schedule: RowSchedule
    strips: tuple[ScratchBuffer, ...]
    scratch: tuple[ScratchBuffer, ...]

    @property
    def layers(self) -> tuple[Op, ...]:
        return tuple(op for op in self.operations if op is not None)

    @property
    def result(self) -> Value:
        """The map that rows end at, which is a value of the plan."""
        return self.schedule.tasks[-1].writes


@dataclass(frozen=True, eq=False)
class RowCut:
    """A network in parts and the plan of its memory: `plan.steps[i]` is that of `parts[i]`.

    The first part is the front, which takes the image by rows; the others are single layers, and runs of layers by rows
    from maps that are whole to the next.
    """

    parts: tuple[Banded | Op, ...]
    plan: Plan

    @property
    def front(self) -> Banded:
        first = self.parts[0]
        assert isinstance(first, Banded), "a network begins with its front"
        return first


def plan_rows(
    module: Module,
    choose: Mapping[Op, tuple[Rule[Any], Choice]],
    rule_of: RuleOf,
    alignment: int,
    memories: Sequence[Memory] = (),
    wanted: Bands | None = None,
) -> RowCut:
    """The cut of least memory. `choose` holds rule and choice of each operation that needs code.

    Where no memory holds that, the first cut that several hold together, by what they need at least, without runs of
    layers behind it: those are one block each. `wanted` is a cut
    that somebody chose.

    Raises MN1115 where the network has not one image as input, or its first layer needs all of it.
    """
    bands = wanted or Bands()
    found = drafts(module, rule_of, bands.band, bands.last)

    def best_of(behind: bool) -> tuple[RowCut, Draft, tuple[Draft, ...]]:
        best: tuple[RowCut, Draft, tuple[Draft, ...]] | None = None
        for draft in sorted(found, key=lambda draft: draft.bytes):
            if best is not None and draft.bytes >= best[0].plan.arena_bytes:
                break
            cut, used = least(module, draft, choose, rule_of, alignment, replace(bands, behind=behind))
            if best is None or cut.plan.arena_bytes < best[0].plan.arena_bytes:
                best = cut, draft, used
        assert best is not None
        return best

    cut, chosen, used = best_of(bands.behind)
    if not memories:
        return cut
    if any(memory.bytes >= cut.plan.arena_bytes for memory in memories):
        return finished(module, chosen, choose, alignment, memories, used)
    _, chosen, _ = best_of(False) if used else (cut, chosen, used)
    together = sum(memory.bytes for memory in memories)
    spread = finished(module, chosen, choose, alignment, memories)
    for draft in sorted(found, key=lambda draft: draft.bytes):
        if spread.plan.fits or draft.bytes > together:
            break
        if draft is not chosen:
            other = finished(module, draft, choose, alignment, memories)
            spread = other if other.plan.fits else spread
    return spread


def least(
    module: Module,
    draft: Draft,
    choose: Mapping[Op, tuple[Rule[Any], Choice]],
    rule_of: RuleOf,
    alignment: int,
    bands: Bands,
) -> tuple[RowCut, tuple[Draft, ...]]:
    """The cut of a front, and the runs behind it that make its arena smaller, one after the other as they help most."""
    cut, used = finished(module, draft, choose, alignment), tuple[Draft, ...]()
    if not bands.behind:
        return cut, used
    inside = set(draft.front)
    scratch_of = cache(lambda op, rows: scratch_bytes(op, rows, rule_of))
    behind = [op for op in choose if op not in inside]
    others = [draft_of(run, scratch_of, bands.band, None) for run in runs(module.graph, behind)]
    while True:
        peak = cut.parts[cut.plan.peak]
        at_peak = set(peak.layers if isinstance(peak, Banded) else (peak,))
        taken = {op for other in used for op in other.front}
        fitting = [
            other
            for other in others
            if at_peak.intersection(other.front)
            and not taken.intersection(other.front)
            and other.bytes < cut.plan.arena_bytes
        ]
        tried = [(finished(module, draft, choose, alignment, (), (*used, other)), other) for other in fitting]
        best = min(tried, key=lambda pair: pair[0].plan.arena_bytes, default=None)
        if best is None or best[0].plan.arena_bytes >= cut.plan.arena_bytes:
            return cut, used
        cut, used = best[0], (*used, best[1])


def finished(
    module: Module,
    draft: Draft,
    choose: Mapping[Op, tuple[Rule[Any], Choice]],
    alignment: int,
    memories: Sequence[Memory] = (),
    behind: tuple[Draft, ...] = (),
) -> RowCut:
    """The draft with addresses, with the runs of layers `behind` it and with the other layers."""
    ends = {other.front[-1]: other for other in behind}
    banded = {op for other in (draft, *behind) for op in other.front}
    parts: list[Draft | Op] = [draft]
    parts += [ends.get(op, op) for op in choose if op in ends or op not in banded]
    packed = {id(part): pack_strips(part.schedule, part.scratch, alignment) for part in (draft, *behind)}
    tasks = []
    for part in parts:
        if isinstance(part, Op):
            choice = choose[part][1]
            tasks.append(Task(part.name or part.opcode, choice.reads, part.result, choice.modes))
            continue
        reads, block = part.reads, packed[id(part)][2]
        mode = Mode("rows", (None,) * len(reads), Scratch(block, 1) if block else None)
        torn = row_pieces(part.schedule, part.scratch) if memories else None
        name = "result of the front" if part is draft else part.schedule.tasks[-1].name
        tasks.append(Task(name, reads, part.schedule.tasks[-1].writes, (mode,), torn))
    plan = make_plan(module.graph, tasks, alignment, memories=memories)
    found = [
        part if isinstance(part, Op) else _placed(part, step, *packed[id(part)][:2])
        for part, step in zip(parts, plan.steps, strict=True)
    ]
    return RowCut(tuple(found), plan)


def _placed(draft: Draft, step: PlannedStep, strips: Sequence[int], scratch: Sequence[int]) -> Banded:
    """With the memory that the plan gave: in pieces, or as one block in which `strips` and `scratch` are offsets."""
    if step.pieces:
        return Banded(draft.front, draft.schedule, step.pieces[: len(strips)], step.pieces[len(strips) :])
    start = 0 if step.scratch is None else step.scratch.offset
    arena = 0 if step.scratch is None else step.scratch.arena
    lying = tuple(
        ScratchBuffer(start + offset, draft.schedule.strip_bytes(task), 1, arena) for task, offset in enumerate(strips)
    )
    own = tuple(
        ScratchBuffer(start + offset, size, 1, arena) for offset, size in zip(scratch, draft.scratch, strict=True)
    )
    return Banded(draft.front, draft.schedule, lying, own)
