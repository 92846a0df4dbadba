"""Which layers of a network run by rows, where rows end, and the memory of both parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.row_axes import Windowed, is_constant, read_whole, row_axes
from mnetdsl.backends.c.row_runs import runs
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.ir.core import Module, Op, OperandArgument, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.types import TensorType
from mnetdsl.plan import Memory, Mode, Plan, PlannedStep, Scratch, Task, make_plan
from mnetdsl.plan.result import ScratchBuffer
from mnetdsl.plan.rows import (
    Bands,
    RowRead,
    RowSchedule,
    RowTask,
    pack_strips,
    row_bytes,
    row_pieces,
    schedule_rows,
)
from mnetdsl.plan.sweep import Axis

RuleOf = Callable[[Op], Rule[Any] | None]
Front = Sequence[tuple[Op, dict[str, Axis]]]
"""Operations in order, each with its `row_axes`."""
BANDS = (1, 2, 4, 8, 16)
"""Rows that layers of a front may make at a time. More of them cost memory and save instructions."""


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


def _streamed(module: Module) -> list[tuple[Op, dict[str, Axis]]]:
    """Operations that can run by rows with all that is in front of them."""
    reached = {module.graph.inputs[0].value}
    found = []
    for op in module.graph.operations:
        axes = row_axes(op) if op.opcode != "constant" else None
        maps = [value for value in op.operands if not is_constant(value)]
        if axes and not read_whole(op, axes) and all(value in reached for value in maps):
            reached.add(op.result)
            found.append((op, axes))
    return found


def candidates(module: Module) -> Iterator[Front]:
    """Fronts of the network that end at one map, which nothing goes around; the operations of each in order."""
    streamed = _streamed(module)
    axes = dict(streamed)
    outputs = {port.value for port in module.graph.outputs}
    source = module.graph.inputs[0].value
    ancestors: dict[Op, frozenset[Op]] = {}
    for op, _ in streamed:
        before = [value.producer for value in op.operands if value.producer in axes]
        ancestors[op] = frozenset(before).union(*(ancestors[other] for other in before if other is not None), {op})
        own = ancestors[op]
        inside = [value for other in own if other is not op for value in (other.result,)]
        closed = all(user in own for value in (*inside, source) for user in value.users)
        if closed and not outputs.intersection((*inside, source)):
            yield [(other, found) for other, found in streamed if other in own]


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


def drafts(module: Module, rule_of: RuleOf, band: int = 1, last: str = "") -> list[Draft]:
    """All fronts of a network with what each needs, or those that end at the layer `last`.

    Raises MN1115 as `fronts_of`.
    """
    scratch_of = cache(lambda op, band: scratch_bytes(op, band, rule_of))
    fronts = [front for front in fronts_of(module) if not last or front[-1][0].name == last]
    image = module.graph.inputs[0].value
    return [draft_of(front, scratch_of, band, image) for front in fronts]


def fronts_of(module: Module) -> list[Front]:
    """All that `candidates` finds.

    Raises MN1115 where the network has not one image as input, or its first layer needs all of it.
    """
    ports = module.graph.inputs
    if len(ports) != 1 or ports[0].value.type.rank != 4:
        raise no_rows(module, "it needs one input of height, width and channels")
    fronts = list(candidates(module))
    if not fronts:
        raise no_rows(module, "no layer behind its image runs by rows")
    return fronts


def no_rows(module: Module, why: str) -> MnetError:
    return MnetError(
        error(
            "MN1115",
            f"`{module.name}` cannot be fed by rows: {why}",
            help="leave out --feed rows",
        )
    )


@dataclass(frozen=True, eq=False)
class Draft:
    """A front, or a run of layers behind it, before anything has an address."""

    front: tuple[Op | None, ...]
    schedule: RowSchedule
    scratch: tuple[int, ...]
    bytes: int
    """What it needs at least, its result included."""

    @property
    def reads(self) -> tuple[Value, ...]:
        """Values that are there whole."""
        made = {task.writes for task in self.schedule.tasks}
        maps = [read.value for task in self.schedule.tasks for read in task.reads]
        numbers = [value for op in self.front if op is not None for value in read_whole(op, row_axes(op) or {})]
        outside = [value for value in maps if value not in made and value is not self.schedule.source]
        return tuple(dict.fromkeys((*outside, *numbers)))


def scratch_bytes(op: Op, band: Variant, rule_of: RuleOf) -> int:
    """Of the kernels for such a band of `op`."""
    axes = row_axes(op)
    assert axes is not None
    made, _ = row_operation(op, axes, band)
    rule = rule_of(made)
    assert rule is not None
    mode = row_mode(rule.choose(made))
    made.drop_operands()
    return 0 if mode.scratch is None else mode.scratch.unit


def draft_of(front: Front, scratch_of: Callable[[Op, Variant], int], band: int, image: Value | None) -> Draft:
    """Layers that make about `band` rows at a time; `scratch_of` tells the bytes that a layer needs for a band.

    `image` comes row by row, None where all that the layers read is there whole.
    """
    copied = None if image is None else copied_image(front, image)
    tasks, operations = [], list[Op | None]()
    if image is not None and copied is not None:
        height = image.type.shape[1]
        tasks.append(RowTask("image", (RowRead(image, Axis(height, height, 1)),), copied))
        operations.append(None)
    for op, axes in front:
        reads = tuple(
            RowRead(copied if value is image and copied is not None else value, axes[definition.name])
            for definition in op.operand_defs
            if definition.name in axes
            for value in op.operand_group(definition.name)
        )
        tasks.append(RowTask(op.name or op.opcode, reads, op.result))
        operations.append(op)
    schedule = schedule_rows(tasks, image, band)
    axes_of = dict(front)
    scratch = [
        0 if op is None else max(scratch_of(op, kind) for kind in set(variants(op, axes_of[op], bands).values()))
        for op, bands in zip(operations, schedule.bands, strict=True)
    ]
    sizes = np.array([schedule.strip_bytes(index) for index in range(len(tasks))])
    return Draft(tuple(operations), schedule, tuple(scratch), int((schedule.alive * sizes[:, None]).sum(axis=0).max()))


def copied_image(front: Front, image: Value) -> Value | None:
    """A strip of the image, where a layer reads several of its rows at once, or several layers read it."""
    axes = [
        axes[definition.name]
        for op, axes in front
        for definition in op.operand_defs
        for value in op.operand_group(definition.name)
        if value is image
    ]
    single = len(axes) == 1 and axes[0].kernel == 1 and axes[0].stride == 1
    return None if single else Value(image.type)


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


@dataclass(frozen=True)
class Variant:
    """What tells apart bands of an operation: rows that each operand gives, and padding where there is a window."""

    rows: tuple[int, ...]
    padding: tuple[int, ...] | None


def variants(op: Op, axes: Mapping[str, Axis], bands: Mapping[int, int]) -> dict[int, Variant]:
    """Of `op`, by the first row of each of its bands; `bands` tells how many there are from that one on.

    `axes` are its `row_axes`.
    """
    ends = {name: axis.reach() for name, axis in axes.items()}
    firsts = np.array(list(bands))
    lasts = firsts + np.array(list(bands.values())) - 1
    counts = [
        (ends[definition.name][1][lasts] - ends[definition.name][0][firsts] + 1).tolist()
        for definition in op.operand_defs
        if definition.name in axes
        for _ in op.operand_group(definition.name)
    ]
    rows = list(zip(*counts, strict=True))
    if not isinstance(op, Windowed):
        return {first: Variant(numbers, None) for first, numbers in zip(firsts.tolist(), rows, strict=True)}
    axis, (first, last) = axes["input"], ends["input"]
    starts = np.arange(axis.positions) * axis.stride - axis.before
    above = (first - starts)[firsts]
    below = (starts + (axis.kernel - 1) * axis.dilation - last)[lasts]
    sides = zip(firsts.tolist(), rows, above.tolist(), below.tolist(), strict=True)
    return {at: Variant(numbers, (top, bottom, op.padding[2], op.padding[3])) for at, numbers, top, bottom in sides}


def row_operation(op: Op, axes: Mapping[str, Axis], chosen: Variant) -> tuple[Op, list[Value]]:
    """`op` for one band: an operation of its kind on the rows that the band reads, with what padding these leave.

    Beside it its operands that are maps, new values. Constants are shared: drop the operands afterwards.
    """
    maps: list[Value] = []
    operands: dict[str, OperandArgument] = {}
    attributes: dict[str, AttributeValue] = dict(op.attributes)
    if chosen.padding is not None:
        attributes["padding"] = chosen.padding
    for definition in op.operand_defs:
        group = op.operand_group(definition.name)
        if definition.name in axes:
            sizes = chosen.rows[len(maps) : len(maps) + len(group)]
            group = tuple(Value(_with_rows(value.type, rows)) for value, rows in zip(group, sizes, strict=True))
            maps += group
        operands[definition.name] = group
    return type(op)(operands, attributes, op.location, op.storage), maps


def _with_rows(type: TensorType, rows: int) -> TensorType:
    return type.with_shape((type.shape[0], rows, *type.shape[2:]))


def row_mode(choice: Choice) -> Mode:
    """Strips overlap nothing, so every mode would do: the first without memory of its own."""
    return next((mode for mode in choice.modes if mode.scratch is None), choice.modes[0])


__all__ = [
    "BANDS",
    "Banded",
    "Draft",
    "Front",
    "RowCut",
    "candidates",
    "copied_image",
    "draft_of",
    "drafts",
    "finished",
    "fronts_of",
    "least",
    "no_rows",
    "plan_rows",
    "row_axes",
    "row_bytes",
    "row_mode",
    "row_operation",
    "scratch_bytes",
    "variants",
]
