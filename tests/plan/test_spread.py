"""Buffers in several memories: they fit where they can, and most accesses go to the fastest memory."""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection

import numpy as np
import pytest

from mnetdsl.plan import Memory, Mode, Pieces, Plan, Scratch, Task, make_plan
from mnetdsl.plan.placement import Layout
from mnetdsl.plan.spread import Spread, spread
from tests.graphs import GraphMaker
from tests.plan.test_planner import chain


def layout(sizes: list[int], lives: list[tuple[int, int]]) -> Layout:
    forbidden: list[dict[int, tuple[tuple[int, int], ...]]] = [{} for _ in sizes]
    for i, j in itertools.permutations(range(len(sizes)), 2):
        if lives[i][0] <= lives[j][1] and lives[j][0] <= lives[i][1]:
            forbidden[i][j] = ((-sizes[i], sizes[j]),)
    return Layout(tuple(sizes), tuple(forbidden), 4)


def fullest(sizes: list[int], lives: list[tuple[int, int]], inside: Collection[int]) -> int:
    moments = range(max(last for _, last in lives) + 1)
    return max(sum(sizes[i] for i in inside if lives[i][0] <= t <= lives[i][1]) for t in moments)


def spread_out(
    sizes: list[int], lives: list[tuple[int, int]], accesses: list[int], capacities: list[int]
) -> tuple[Spread, int]:
    starts = [sorted(range(len(sizes)), key=lambda i: -sizes[i])]
    found = spread(layout(sizes, lives), starts, accesses, capacities, lambda inside: fullest(sizes, lives, inside))
    for i, j in itertools.combinations(range(len(sizes)), 2):
        if found.memories[i] == found.memories[j] and lives[i][0] <= lives[j][1] and lives[j][0] <= lives[i][1]:
            assert found.offsets[i] + sizes[i] <= found.offsets[j] or found.offsets[j] + sizes[j] <= found.offsets[i]
    for memory, used in enumerate(found.used):
        ends = [found.offsets[i] + sizes[i] for i in range(len(sizes)) if found.memories[i] == memory]
        assert max(ends, default=0) == used
    return found, sum(count for count, memory in zip(accesses, found.memories, strict=True) if memory == 0)


def most_in_the_first(
    sizes: list[int], lives: list[tuple[int, int]], accesses: list[int], capacities: list[int]
) -> int | None:
    """By trying every assignment; buffers are of one size, so that what fits by bytes can be placed."""
    best: int | None = None
    for first in itertools.product((True, False), repeat=len(sizes)):
        fast = [i for i, inside in enumerate(first) if inside]
        slow = [i for i, inside in enumerate(first) if not inside]
        if all(
            fullest(sizes, lives, part) <= capacity for part, capacity in zip((fast, slow), capacities, strict=True)
        ):
            best = max(best or 0, sum(accesses[i] for i in fast))
    return best


@pytest.mark.parametrize("seed", range(20))
def test_of_few_buffers_the_best_go_to_the_fastest_memory(seed: int) -> None:
    chosen = random.Random(seed)
    lives = [(first, first + chosen.randrange(3)) for first in (chosen.randrange(5) for _ in range(7))]
    sizes = [16] * len(lives)
    accesses = [chosen.randrange(1, 100) for _ in lives]
    capacities = [32, 16 * 5]
    found, fast = spread_out(sizes, lives, accesses, capacities)
    best = most_in_the_first(sizes, lives, accesses, capacities)
    if best is None:
        assert found.used[1] > capacities[1]
    else:
        assert all(used <= capacity for used, capacity in zip(found.used, capacities, strict=True))
        assert fast == best


def test_many_buffers_fill_the_fast_memory_and_fit() -> None:
    chosen = random.Random(1)
    lives = [(i // 2, i // 2 + chosen.randrange(1, 5)) for i in range(60)]
    sizes = [4 * chosen.randrange(1, 40) for _ in lives]
    accesses = [size * chosen.randrange(2, 12) for size in sizes]
    full = fullest(sizes, lives, range(len(sizes)))
    capacities = [full // 3, full * 3 // 4]
    found, fast = spread_out(sizes, lives, accesses, capacities)
    assert all(used <= capacity for used, capacity in zip(found.used, capacities, strict=True))
    inside = [i for i, memory in enumerate(found.memories) if memory == 0]
    assert fullest(sizes, lives, inside) > 0.8 * capacities[0]
    assert fast / sum(sizes[i] for i in inside) > sum(accesses) / sum(sizes)


def planned(sizes: tuple[int, ...], *memories: Memory) -> Plan:
    maker, _ = chain(*sizes)
    return plan_of(maker, *memories)


def plan_of(maker: GraphMaker, *memories: Memory) -> Plan:
    tasks = [
        Task(op.opcode, op.operands[:1], op.result, (Mode("forward", (None,)),))
        for op in maker.module.graph.operations
        if op.opcode != "constant"
    ]
    return make_plan(maker.module.graph, tasks, memories=memories)


def test_one_arena_goes_to_the_fastest_memory_that_holds_it_and_is_the_same_as_ever() -> None:
    alone = planned((10, 30, 20, 5))
    plan = planned((10, 30, 20, 5), Memory("tiny", 100), Memory("fast", 200), Memory("slow", 1000))
    (arena,) = plan.arenas
    assert (arena.memory, arena.available, arena.bytes) == ("fast", 200, alone.arena_bytes)
    assert plan.buffers == alone.buffers


def test_what_fits_in_no_memory_alone_is_spread_and_each_is_as_full_as_said() -> None:
    plan = planned((10, 30, 20, 30), Memory("fast", 120), Memory("slow", 128))
    assert plan.fits
    assert [(arena.memory, arena.bytes, arena.lower_bound) for arena in plan.arenas] == [
        ("fast", 120, 120),
        ("slow", 80, 80),
    ]
    assert plan.lower_bound == 200
    assert {buffer.arena for buffer in plan.buffers} == {0, 1}


def test_what_does_not_fit_exceeds_the_largest_memory() -> None:
    plan = planned((10, 50, 20), Memory("fast", 100), Memory("big", 120), Memory("slow", 50))
    assert not plan.fits
    over = next(arena for arena in plan.arenas if arena.excess)
    assert (over.memory, over.bytes, over.excess) == ("big", 200, 80)
    assert [buffer.size for buffer in over.peak_buffers] == [200]


def test_memory_of_a_task_is_torn_into_its_pieces() -> None:
    maker, (first, _) = chain(10, 10)
    alive = np.array([[True, False], [True, True], [False, True]])
    pieces = Pieces(("a", "b", "c"), (40, 60, 40), (80, 600, 80), alive)
    tasks = [
        Task(op.opcode, op.operands[:1], op.result, (Mode("forward", (None,)),))
        for op in maker.module.graph.operations
        if op.opcode != "constant"
    ]
    tasks[0] = Task("rows", (), first, (Mode("rows", (), Scratch(100, 1)),), pieces)
    whole = make_plan(maker.module.graph, tasks)
    assert whole.arena_bytes == 140
    plan = make_plan(maker.module.graph, tasks, memories=[Memory("fast", 64), Memory("slow", 80)])
    assert plan.fits
    a, b, c = plan.steps[0].pieces
    assert (b.arena, a.arena, c.arena) == (0, 1, 1)
    assert a.offset == c.offset
    assert plan.arena_bytes == plan.lower_bound == 140
