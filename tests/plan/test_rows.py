"""Rows are computed once, in an order that finds what it reads, in strips that hold it."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from mnetdsl.ir.core import Value
from mnetdsl.ir.types import ElementType, TensorType
from mnetdsl.plan.rows import RowRead, RowSchedule, RowTask, pack_strips, row_bytes, schedule_rows
from mnetdsl.plan.sweep import Axis


def value(height: int, bytes: int = 4) -> Value:
    return Value(TensorType((1, height, 1, bytes), ElementType.I8))


def window(size: int, kernel: int, stride: int = 1, before: int = 0, after: int = 0, dilation: int = 1) -> Axis:
    positions = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
    return Axis(size, positions, kernel, stride, dilation, before)


def chain(image: Value, *axes: Axis) -> list[RowTask]:
    tasks, source = [], image
    for number, axis in enumerate(axes):
        result = value(axis.positions, 4 * (number + 1))
        tasks.append(RowTask(f"layer {number}", (RowRead(source, axis),), result))
        source = result
    return tasks


def replay(schedule: RowSchedule, image: Value) -> None:
    """Runs the steps on strips of row numbers and holds every part to the rows that it should have.

    Maps that are neither the image nor made are there whole.
    """
    tasks = schedule.tasks
    strips: list[list[int | None]] = [[None] * depth for depth in schedule.depths]
    indices = {task.writes: index for index, task in enumerate(tasks)}
    made = [0] * len(tasks)
    fed = 0
    for step in schedule.steps:
        task, strip = tasks[step.task], strips[step.task]
        assert step.row == made[step.task]
        for read, part in zip(task.reads, step.parts, strict=True):
            ends = read.axis.reach()
            first, last = int(ends[0][step.row]), int(ends[1][step.row + step.rows - 1])
            assert (part.first, part.rows) == (first, last - first + 1)
            if read.value is image:
                fed = max(fed, last + 1)
                continue
            if read.value not in indices:
                assert part.slot == first
                continue
            held = strips[indices[read.value]]
            assert held[part.slot : part.slot + part.rows] == list(range(first, last + 1))
        if step.moved:
            strip[: step.kept] = strip[step.moved : step.moved + step.kept]
            strip[step.kept :] = [None] * (len(strip) - step.kept)
        strip[step.slot : step.slot + step.rows] = range(step.row, step.row + step.rows)
        assert len(strip) == schedule.depths[step.task]
        made[step.task] += step.rows
    assert strips[-1] == list(range(tasks[-1].writes.type.shape[1]))


def test_a_window_of_three_rows_has_a_strip_of_three() -> None:
    image = value(8)
    schedule = schedule_rows(chain(image, window(8, 1), window(8, 3, before=1, after=1)), image)
    assert schedule.depths == (3, 8)
    replay(schedule, image)


def test_a_pointwise_layer_reads_a_row_as_soon_as_it_is_there() -> None:
    image = value(6)
    schedule = schedule_rows(chain(image, window(6, 1), window(6, 1), window(6, 1)), image)
    assert schedule.depths == (1, 1, 6)
    assert [step.task for step in schedule.steps[:6]] == [0, 1, 2, 0, 1, 2]
    assert not any(step.moved for step in schedule.steps)


def test_a_residual_waits_for_its_branch() -> None:
    image, x, y, total = value(8), value(8), value(8), value(8)
    tasks = [
        RowTask("x", (RowRead(image, window(8, 1)),), x),
        RowTask("depthwise", (RowRead(x, window(8, 3, before=1, after=1)),), y),
        RowTask("add", (RowRead(x, window(8, 1)), RowRead(y, window(8, 1))), total),
    ]
    schedule = schedule_rows(tasks, image)
    assert schedule.depths == (3, 1, 8)
    replay(schedule, image)


@pytest.mark.parametrize("band", [1, 3])
def test_maps_that_are_there_whole_are_read_where_their_rows_lie(band: int) -> None:
    first, second, x, total = value(8), value(8), value(8), value(8)
    tasks = [
        RowTask("depthwise", (RowRead(first, window(8, 3, before=1, after=1)),), x),
        RowTask("add", (RowRead(x, window(8, 1)), RowRead(second, window(8, 1))), total),
    ]
    schedule = schedule_rows(tasks, None, band)
    assert schedule.depths == (band, 8)
    replay(schedule, value(8))


def test_rows_that_nobody_reads_are_not_computed() -> None:
    image = value(9)
    schedule = schedule_rows(chain(image, window(9, 1), window(9, 2, stride=2)), image)
    assert [step.row for step in schedule.steps if step.task == 0] == list(range(8))


@pytest.mark.parametrize("seed", range(40))
def test_random_chains_find_what_they_read(seed: int) -> None:
    """Kernels, strides, dilations and padding of all kinds, residuals among them; no two live strips share a byte."""
    choose = random.Random(seed)
    height = choose.randint(6, 30)
    image = value(height)
    tasks: list[RowTask] = []
    maps = [image]
    for number in range(choose.randint(1, 8)):
        source = maps[-1]
        size = source.type.shape[1]
        kernel, stride, dilation = choose.choice([(1, 1, 1), (3, 1, 1), (3, 2, 1), (5, 2, 1), (3, 1, 2), (2, 3, 1)])
        reach = (kernel - 1) * dilation + 1
        if size < reach:
            break
        before, after = choose.randint(0, (reach - 1) // 2), choose.randint(0, (reach - 1) // 2)
        reads = [RowRead(source, window(size, kernel, stride, before, after, dilation))]
        positions = reads[0].axis.positions
        same = [other for other in maps[1:-1] if other.type.shape[1] == positions]
        if same and choose.random() < 0.5:
            reads.append(RowRead(choose.choice(same), Axis(positions, positions, 1)))
        result = value(positions, choose.randint(1, 40))
        tasks.append(RowTask(f"layer {number}", tuple(reads), result))
        maps.append(result)
    for band in (1, 2, 5):
        schedule = schedule_rows(_used(tasks), image, band)
        replay(schedule, image)
        heights = [task.writes.type.shape[1] for task in schedule.tasks]
        assert all(depth <= height for depth, height in zip(schedule.depths, heights, strict=True))
        _assert_apart(schedule, [choose.choice([0, 0, 24]) for _ in schedule.tasks])


def test_bands_make_several_rows_at_once_in_deeper_strips_that_move_less_often() -> None:
    image = value(32)
    tasks = chain(image, window(32, 1), window(32, 1), window(32, 3, before=1, after=1), window(32, 1))
    one, four = schedule_rows(tasks, image), schedule_rows(tasks, image, 4)
    assert one.depths == (1, 3, 1, 32)
    assert four.depths == (5, 6, 4, 32)
    replay(four, image)
    assert len(four.steps) == 32 + 3 * 8
    assert sum(step.kept for step in four.steps) < sum(step.kept for step in one.steps)
    assert [part.rows for step in four.steps if step.task == 2 for part in step.parts] == [5, *[6] * 6, 5]


def _used(tasks: list[RowTask]) -> list[RowTask]:
    """Without those whose result nobody reads."""
    needed = {tasks[-1].writes}
    kept = []
    for task in reversed(tasks):
        if task.writes in needed:
            kept.append(task)
            needed.update(read.value for read in task.reads)
    return kept[::-1]


def _assert_apart(schedule: RowSchedule, scratch: list[int]) -> None:
    strips, scratches, top = pack_strips(schedule, scratch, 4)
    for position, step in enumerate(schedule.steps):
        used = [
            (strips[task], strips[task] + schedule.strip_bytes(task))
            for task in np.flatnonzero(schedule.alive[:-1, position]).tolist()
        ]
        if scratch[step.task]:
            used.append((scratches[step.task], scratches[step.task] + scratch[step.task]))
        used.sort()
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(used))
        assert all(end <= top for _, end in used)
    assert row_bytes(schedule.tasks[0].writes) > 0
