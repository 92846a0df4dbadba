"""Placement: nothing collides, few buffers are placed optimally, many within their bound."""

from __future__ import annotations

import itertools
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from mnetdsl.plan.placement import Interval, Layout, find_offsets

Pairs = dict[tuple[int, int], tuple[Interval, ...]]


def layout_of(sizes: list[int], pairs: Pairs, alignment: int = 1) -> Layout:
    forbidden: list[dict[int, tuple[Interval, ...]]] = [{} for _ in sizes]
    for (i, j), intervals in pairs.items():
        forbidden[i][j] = intervals
        forbidden[j][i] = tuple((-high, -low) for low, high in intervals)
    return Layout(tuple(sizes), tuple(forbidden), alignment)


@st.composite
def problems(draw: st.DrawFn, most: int = 5) -> Layout:
    """Buffers of which some pairs must be apart and some may overlap up to a distance."""
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=most))
    pairs: Pairs = {}
    for i, j in itertools.combinations(range(len(sizes)), 2):
        kind = draw(st.sampled_from(["free", "apart", "apart", "below", "same"]))
        full = (-sizes[i], sizes[j])
        if kind == "apart":
            pairs[i, j] = (full,)
        elif kind == "below":
            pairs[i, j] = ((-draw(st.integers(1, sizes[i])), sizes[j]),)
        elif kind == "same":
            pairs[i, j] = ((-sizes[i], 0), (0, sizes[j]))
    return layout_of(sizes, pairs, draw(st.sampled_from([1, 2, 4])))


def is_valid(layout: Layout, offsets: list[int]) -> bool:
    return all(offset % layout.alignment == 0 for offset in offsets) and all(
        not low < offsets[i] - offsets[j] < high
        for i, others in enumerate(layout.forbidden)
        for j, intervals in others.items()
        for low, high in intervals
    )


def optimum(layout: Layout) -> int:
    """By trying every combination of addresses."""
    limit = sum(-(-size // layout.alignment) * layout.alignment for size in layout.sizes)
    steps = range(0, limit, layout.alignment)
    return min(
        max(offset + size for offset, size in zip(offsets, layout.sizes, strict=True))
        for offsets in itertools.product(steps, repeat=len(layout.sizes))
        if is_valid(layout, list(offsets))
    )


@settings(max_examples=30, deadline=None)
@given(problems(most=12))
def test_no_buffer_lies_where_another_forbids_it(layout: Layout) -> None:
    order = list(range(len(layout.sizes)))
    offsets, top = find_offsets(layout, [order, order[::-1]], max(layout.sizes))
    assert is_valid(layout, offsets)
    assert top == max(offset + size for offset, size in zip(offsets, layout.sizes, strict=True))


@settings(max_examples=40, deadline=None)
@given(problems(most=3))
def test_few_buffers_are_placed_as_well_as_they_can_be(layout: Layout) -> None:
    order = list(range(len(layout.sizes)))
    assert find_offsets(layout, [order], 0)[1] == optimum(layout)


def cut(random: Random, first: int, last: int, height: int, pieces: int) -> list[tuple[int, int, int]]:
    """A rectangle of steps and bytes cut into `pieces` buffers (first, last, size): they fit its height exactly."""
    if pieces == 1:
        return [(first, last, height)]
    half = random.randint(1, pieces - 1)
    if last > first and random.random() < 0.5:
        middle = random.randint(first, last - 1)
        return cut(random, first, middle, height, half) + cut(random, middle + 1, last, height, pieces - half)
    below = random.randint(1, height - 1) if height > 1 else 1
    return cut(random, first, last, below, half) + cut(random, first, last, max(1, height - below), pieces - half)


def test_local_search_packs_many_buffers_that_fit_exactly() -> None:
    reached = 0
    for seed in range(10):
        buffers = cut(Random(seed), 0, 30, 1000, 14)
        pairs: dict[tuple[int, int], tuple[tuple[int, int], ...]] = {
            (i, j): ((-buffers[i][2], buffers[j][2]),)
            for i, j in itertools.combinations(range(len(buffers)), 2)
            if buffers[i][0] <= buffers[j][1] and buffers[j][0] <= buffers[i][1]
        }
        layout = layout_of([size for _, _, size in buffers], pairs)
        bound = max(sum(size for a, b, size in buffers if a <= step <= b) for step in range(31))
        order = sorted(range(len(buffers)), key=lambda i: (layout.sizes[i], i))
        offsets, top = find_offsets(layout, [order], bound)
        assert is_valid(layout, offsets)
        assert top <= layout.place(order)[1]
        reached += top == bound
    assert reached == 10
