"""Which layers of a network may run by rows, and what they need at least, before anything has an address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from mnetdsl.backends.c.row_axes import is_constant, read_whole, row_axes
from mnetdsl.backends.c.row_bands import RuleOf, Variant, scratch_bytes, variants
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.plan.rows import RowRead, RowSchedule, RowTask, schedule_rows
from mnetdsl.plan.sweep import Axis

Front = Sequence[tuple[Op, dict[str, Axis]]]
"""Operations in order, each with its `row_axes`."""


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
