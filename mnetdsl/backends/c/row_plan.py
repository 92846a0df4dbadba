"""Which layers of a network run by rows, where rows end, and the memory of both parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.ir.core import Module, Op, OperandArgument, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.pool import AvgPool, MaxPool
from mnetdsl.ir.types import TensorType
from mnetdsl.plan import Memory, Mode, Plan, Scratch, Task, make_plan
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
Windowed = Conv2d | DepthwiseConv2d | AvgPool | MaxPool
ALONE = frozenset(
    (
        "normalize",
        "batch_norm",
        "layer_norm",
        "quantize",
        "dequantize",
        "requantize",
        "lookup",
        "clamp",
        "softmax",
        "add",
        "sub",
        "mul",
        "relu",
        "relu6",
        "hard_sigmoid",
        "hard_swish",
        "sigmoid",
        "silu",
        "gelu",
        "tanh",
    )
)
"""Operations whose row r reads row r of each map and nothing else of it."""


BANDS = (1, 2, 4, 8, 16)
"""Rows that layers of a front may make at a time. More of them cost memory and save instructions."""


@dataclass(frozen=True, eq=False)
class RowCut:
    """The front of a network, which runs by rows, and the plan of its memory with that of the layers behind it.

    `front[i]` is the operation of `schedule.tasks[i]`, None for the copy of a row of the image; `back` are the others
    in order. `strips` lie where the rows of each map but the last do, `scratch` the memory of each task; the result of
    the front is a value of the plan. The steps of `back` stand in the plan from 1 on.
    """

    front: tuple[Op | None, ...]
    back: tuple[Op, ...]
    schedule: RowSchedule
    strips: tuple[ScratchBuffer, ...]
    scratch: tuple[ScratchBuffer, ...]
    plan: Plan

    @property
    def result(self) -> Value:
        """The map that rows end at."""
        return self.schedule.tasks[-1].writes


def row_axes(op: Op) -> dict[str, Axis] | None:
    """How rows of the result read rows of each named operand that is a map; None where `op` cannot run by rows."""
    if op.type.rank != 4:
        return None
    height = op.type.shape[1]
    same = Axis(height, height, 1)
    axes: dict[str, Axis] = {}
    if isinstance(op, Windowed):
        kernel = op.kernel[0] if isinstance(op, AvgPool | MaxPool) else op.filter.type.shape[0]
        dilation = 1 if isinstance(op, AvgPool | MaxPool) else op.dilations[0]
        axis = Axis(op.input.type.shape[1], height, kernel, op.strides[0], dilation, op.padding[0])
        first, last = axis.reach()
        if bool((last < first).any()):
            return None
        axes["input"] = axis
    elif op.opcode not in ALONE:
        return None
    for definition in op.operand_defs:
        for value in op.operand_group(definition.name):
            if definition.name in axes or _is_weight(op, definition.name):
                continue
            if _constant(value) and (value.type.rank < 4 or value.type.shape[1] == 1):
                continue
            if _constant(value) or value.type.rank != 4 or value.type.shape[1] != height:
                return None
            axes[definition.name] = same
    return axes


def _constant(value: Value) -> bool:
    return value.producer is not None and value.producer.opcode == "constant"


def _streamed(module: Module) -> list[tuple[Op, dict[str, Axis]]]:
    """Operations that can run by rows with all that is in front of them."""
    reached = {module.graph.inputs[0].value}
    found = []
    for op in module.graph.operations:
        axes = row_axes(op) if op.opcode != "constant" else None
        maps = [value for value in op.operands if not _constant(value)]
        if axes and all(value in reached for value in maps):
            reached.add(op.result)
            found.append((op, axes))
    return found


def _is_weight(op: Op, operand: str) -> bool:
    return isinstance(op, Conv2d | DepthwiseConv2d) and operand not in ("input", "residual")


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

    Where no memory holds that, the first cut that several hold together, by what they need at least. `wanted` is a cut
    that somebody chose.

    Raises MN1115 where the network has not one image as input, or its first layer needs all of it.
    """
    chosen_bands = wanted or Bands()
    found = drafts(module, rule_of, chosen_bands.band, chosen_bands.last)
    best: RowCut | None = None
    chosen = found[0]
    for draft in sorted(found, key=lambda draft: draft.bytes):
        if best is not None and draft.bytes >= best.plan.arena_bytes:
            break
        cut = finished(module, draft, choose, alignment)
        if best is None or cut.plan.arena_bytes < best.plan.arena_bytes:
            best, chosen = cut, draft
    assert best is not None
    if not memories:
        return best
    together = sum(memory.bytes for memory in memories)
    spread = finished(module, chosen, choose, alignment, memories)
    for draft in sorted(found, key=lambda draft: draft.bytes):
        if spread.plan.fits or draft.bytes > together:
            break
        if draft is not chosen:
            other = finished(module, draft, choose, alignment, memories)
            spread = other if other.plan.fits else spread
    return spread


def drafts(module: Module, rule_of: RuleOf, band: int = 1, last: str = "") -> list[Draft]:
    """All fronts of a network with what each needs, or those that end at the layer `last`.

    Raises MN1115 as `fronts_of`.
    """
    scratch_of = cache(lambda op, band: scratch_bytes(op, band, rule_of))
    fronts = [front for front in fronts_of(module) if not last or front[-1][0].name == last]
    return [draft_of(module, front, scratch_of, band) for front in fronts]


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
    """A front before anything has an address."""

    front: tuple[Op | None, ...]
    schedule: RowSchedule
    scratch: tuple[int, ...]
    bytes: int
    """What the front needs at least, its result included."""


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


def draft_of(module: Module, front: Front, scratch_of: Callable[[Op, Variant], int], band: int) -> Draft:
    """A front that makes about `band` rows at a time; `scratch_of` tells the bytes that a layer needs for a band."""
    image = module.graph.inputs[0].value
    copied = copied_image(front, image)
    tasks, operations = [], list[Op | None]()
    if copied is not None:
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
) -> RowCut:
    """The draft with addresses, and with the layers behind it."""
    front = set(draft.front)
    back = tuple(op for op in choose if op not in front)
    strips, scratch, block = pack_strips(draft.schedule, draft.scratch, alignment)
    rows = Mode("rows", (), Scratch(block, 1) if block else None)
    torn = row_pieces(draft.schedule, draft.scratch) if memories else None
    tasks = [Task("result of the front", (), draft.schedule.tasks[-1].writes, (rows,), torn)]
    tasks += [Task(op.name or op.opcode, choose[op][1].reads, op.result, choose[op][1].modes) for op in back]
    plan = make_plan(module.graph, tasks, alignment, memories=memories)
    if plan.steps[0].pieces:
        pieces = plan.steps[0].pieces
        return RowCut(draft.front, back, draft.schedule, pieces[: len(strips)], pieces[len(strips) :], plan)
    base = plan.steps[0].scratch
    start = 0 if base is None else base.offset
    lying = tuple(
        ScratchBuffer(start + offset, draft.schedule.strip_bytes(task), 1) for task, offset in enumerate(strips)
    )
    own = tuple(ScratchBuffer(start + offset, size, 1) for offset, size in zip(scratch, draft.scratch, strict=True))
    return RowCut(draft.front, back, draft.schedule, lying, own, plan)


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
    "Draft",
    "Front",
    "RowCut",
    "candidates",
    "copied_image",
    "draft_of",
    "drafts",
    "finished",
    "fronts_of",
    "no_rows",
    "plan_rows",
    "row_axes",
    "row_bytes",
    "row_mode",
    "row_operation",
    "scratch_bytes",
    "variants",
]
