"""Layers computed row by row as far as possible (docs/decisions/0008-rows.md): the order, the strips, their memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mnetdsl.ir.core import Value
from mnetdsl.plan.placement import Layout, find_offsets
from mnetdsl.plan.sweep import Axis
from mnetdsl.plan.tasks import Pieces


@dataclass(frozen=True)
class Bands:
    """A way to run layers by rows: how many at a time, and the layer that the front ends at; empty: of least memory.

    `behind`: whether layers behind the front may run by rows as well, between maps that are whole.
    """

    band: int = 1
    last: str = ""
    behind: bool = True


@dataclass(frozen=True)
class RowRead:
    """An operand of a task: row r of the result reads the rows of `value` that position r of `axis` covers."""

    value: Value
    axis: Axis


@dataclass(frozen=True, eq=False)
class RowTask:
    """An operation that can compute any row of its result [1, H, …] from some rows of its operands."""

    name: str
    reads: tuple[RowRead, ...]
    writes: Value


@dataclass(frozen=True)
class Part:
    """Rows [first, first + rows) of an operand, which lie from `slot` on in its strip or in its whole map."""

    first: int
    rows: int
    slot: int


@dataclass(frozen=True)
class RowStep:
    """Task `task` computes `rows` rows from `row` on into `slot` of its strip and behind it, where `kept` rows from
    `moved` on go to the front first.

    A `moved` of 0 moves nothing. `parts` stand beside the task's reads.
    """

    task: int
    row: int
    slot: int
    moved: int
    kept: int
    parts: tuple[Part, ...]
    rows: int = 1


@dataclass(frozen=True, eq=False)
class RowSchedule:
    """Who makes which rows, in order; `depths` are rows of each task's strip, those of the last task all of its map."""

    tasks: tuple[RowTask, ...]
    order: tuple[tuple[int, int, int], ...]
    """(task, first row, rows)"""
    depths: tuple[int, ...]
    alive: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    """[task, step]: whether a strip holds a row that is read, written or still needed."""
    source: Value | None = None
    """Is given from outside, a row at a time. Other maps that no task makes are there whole."""

    @cached_property
    def steps(self) -> tuple[RowStep, ...]:
        """The order with the places of all rows in their strips."""
        return _places(self)

    @cached_property
    def bands(self) -> tuple[dict[int, int], ...]:
        """Of each task the number of rows that it makes together, by the first of them."""
        found: list[dict[int, int]] = [{} for _ in self.tasks]
        for task, row, rows in self.order:
            found[task][row] = rows
        return tuple(found)

    def strip_bytes(self, task: int) -> int:
        return self.depths[task] * row_bytes(self.tasks[task].writes)


def row_bytes(value: Value) -> int:
    """Of one row of a map [1, H, …]."""
    return value.type.byte_size // value.type.shape[1]


def schedule_rows(tasks: Sequence[RowTask], source: Value | None, band: int = 1) -> RowSchedule:
    """The order that ends with all rows of the last task's result. `source` is given from outside, a row at a time.

    Other maps that no task makes are there whole before. What reads the source makes a row at a time, all other tasks
    about `band` rows: kernels are called less often then and rows move less often, for strips that are deeper by as
    much. What a band asks of the map in front of it comes in bands of equal size, so that none is made of rows that
    wait for the next.
    """
    bands = [1 if any(read.value is source for read in task.reads) else band for task in tasks]
    indices = {task.writes: index for index, task in enumerate(tasks)}
    reach = [[_ends(read.axis) for read in task.reads] for task in tasks]
    order = _order(tasks, bands, indices, reach)
    trace = _Trace(tasks, indices, reach)
    for task, _, count in order:
        trace.note(task, count)
        trace.advance(task, count)
    trace.depths[-1] = tasks[-1].writes.type.shape[1]
    return RowSchedule(tuple(tasks), tuple(order), tuple(trace.depths), np.array(trace.alive).T, source)


Ends = tuple[list[int], list[int]]
"""First and last row of an operand for each row of a result."""


def _ends(axis: Axis) -> Ends:
    first, last = axis.reach()
    return first.tolist(), last.tolist()


def _order(
    tasks: Sequence[RowTask],
    bands: Sequence[int],
    indices: Mapping[Value, int],
    reach: Sequence[Sequence[Ends]],
) -> list[tuple[int, int, int]]:
    """(task, row, rows) by demand, without recursion: a chain of layers may be long."""
    produced = [0] * len(tasks)
    order: list[tuple[int, int, int]] = []
    last = len(tasks) - 1
    stack = [(last, tasks[last].writes.type.shape[1])]
    while stack:
        task, count = stack[-1]
        if produced[task] >= count:
            stack.pop()
            continue
        row = produced[task]
        rows = _band(count - row, bands[task])
        missing = (
            (indices[read.value], ends[row + rows - 1] + 1)
            for (_, ends), read in zip(reach[task], tasks[task].reads, strict=True)
            if read.value in indices
        )
        wanted = next(((index, rows) for index, rows in missing if produced[index] < rows), None)
        if wanted is not None:
            stack.append(wanted)
            continue
        order.append((task, row, rows))
        produced[task] += rows
    return order


def _band(missing: int, band: int) -> int:
    """Rows to make now where `missing` are asked for: bands of equal size, as near to `band` as it goes."""
    return -(-missing // max(1, (2 * missing + band) // (2 * band)))


class _Trace:
    """Rows that are made and still needed, step by step."""

    def __init__(self, tasks: Sequence[RowTask], indices: Mapping[Value, int], reach: Sequence[Sequence[Ends]]) -> None:
        self.depths = [1] * len(tasks)
        self.alive: list[list[bool]] = []
        self.oldest = [0] * len(tasks)
        """Of each map, the first row that somebody is still to read."""
        self.produced = [0] * len(tasks)
        self._sources = [[indices[read.value] for read in task.reads if read.value in indices] for task in tasks]
        self._readers: list[list[tuple[int, list[int]]]] = [[] for _ in tasks]
        for number, reader in enumerate(tasks):
            for (first, _), read in zip(reach[number], reader.reads, strict=True):
                if read.value in indices:
                    self._readers[indices[read.value]].append((number, [*first, read.axis.size]))
        for task in range(len(tasks)):
            self._age(task)

    def note(self, task: int, count: int) -> None:
        """Before `task` makes `count` rows: what is alive, and how many rows of its map there are with the new ones."""
        self.alive.append([made > oldest for made, oldest in zip(self.produced, self.oldest, strict=True)])
        self.alive[-1][task] = True
        row = self.produced[task]
        self.depths[task] = max(self.depths[task], row + count - min(self.oldest[task], row))

    def advance(self, task: int, count: int) -> None:
        self.produced[task] += count
        for source in self._sources[task]:
            self._age(source)

    def _age(self, task: int) -> None:
        if self._readers[task]:
            self.oldest[task] = min(first[self.produced[reader]] for reader, first in self._readers[task])


def _places(schedule: RowSchedule) -> tuple[RowStep, ...]:
    """Where rows lie in strips. The oldest row needed comes to the front where a strip is full."""
    tasks, depths = schedule.tasks, schedule.depths
    indices = {task.writes: index for index, task in enumerate(tasks)}
    reach = [[_ends(read.axis) for read in task.reads] for task in tasks]
    trace, base = _Trace(tasks, indices, reach), [0] * len(tasks)
    steps: list[RowStep] = []
    for task, row, rows in schedule.order:
        parts = []
        for (first, last), read in zip(reach[task], tasks[task].reads, strict=True):
            index = indices.get(read.value)
            given = read.value is schedule.source
            slot = 0 if given else first[row] - (0 if index is None else base[index])
            parts.append(Part(first[row], last[row + rows - 1] - first[row] + 1, slot))
        moved = kept = 0
        if row - base[task] + rows > depths[task]:
            oldest = min(trace.oldest[task], row)
            moved, kept = oldest - base[task], row - oldest
            base[task] = oldest
        steps.append(RowStep(task, row, row - base[task], moved if kept else 0, kept, tuple(parts), rows))
        trace.advance(task, rows)
    return tuple(steps)


def _used(schedule: RowSchedule, scratch: Sequence[int]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """[piece, step]: when the strips of all tasks but the last are in use, then each task's own memory."""
    count = len(schedule.tasks)
    own = np.zeros((count, len(schedule.order)), np.bool_)
    for position, (task, *_) in enumerate(schedule.order):
        own[task, position] = scratch[task] > 0
    return np.concatenate([schedule.alive[: count - 1], own])


def row_pieces(schedule: RowSchedule, scratch: Sequence[int]) -> Pieces:
    """The strips of all tasks but the last, and each task's own memory of `scratch` bytes, as the planner takes them.

    A row counts as accessed when it is made and in each window that reads it; what a task reads goes through its own
    memory.
    """
    tasks = schedule.tasks
    made = {task.writes: task.writes.type.byte_size for task in tasks[:-1]}
    own = []
    for task, size in zip(tasks, scratch, strict=True):
        reads = 0
        for read in task.reads:
            first, last = read.axis.reach()
            rows = int((last - first + 1).clip(0).sum())
            reads += rows * row_bytes(read.value)
            if read.value in made:
                made[read.value] += rows * row_bytes(read.value)
        own.append(2 * reads if size else 0)
    return Pieces(
        (*(f"rows of {task.name}" for task in tasks[:-1]), *(f"{task.name} (scratch)" for task in tasks)),
        (*(schedule.strip_bytes(task) for task in range(len(tasks) - 1)), *scratch),
        (*made.values(), *own),
        _used(schedule, scratch),
    )


def pack_strips(
    schedule: RowSchedule, scratch: Sequence[int], alignment: int
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Offsets of the strips of all tasks but the last, offsets of each task's scratch memory, and bytes for all.

    `scratch` are bytes for each task, in use while one of its rows is computed.
    """
    count = len(schedule.tasks)
    used = _used(schedule, scratch)
    sizes = (*(schedule.strip_bytes(task) for task in range(count - 1)), *scratch)
    if not sizes:
        return (), (), 0
    meets = used.astype(np.float32) @ used.astype(np.float32).T > 0
    forbidden: list[dict[int, tuple[tuple[int, int], ...]]] = [
        {j: ((-sizes[i], sizes[j]),) for j in np.flatnonzero(meets[i]).tolist() if j != i} for i in range(len(sizes))
    ]
    bound = int((used * np.array(sizes)[:, None]).sum(axis=0).max(initial=0))
    lives = used.sum(axis=1)
    indices = range(len(sizes))
    starts = [
        sorted(indices, key=lambda i: (-sizes[i], i)),
        sorted(indices, key=lambda i: (-int(lives[i]), -sizes[i], i)),
        sorted(indices, key=lambda i: (-sizes[i] * int(lives[i]), i)),
    ]
    offsets, top = find_offsets(Layout(sizes, tuple(forbidden), alignment), starts, bound)
    return tuple(offsets[: count - 1]), tuple(offsets[count - 1 :]), top
