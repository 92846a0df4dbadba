"""Buffers in several memories: which goes where, so that all fit and most bytes are accessed in the fastest.

The memories follow each other in one space of addresses, the fastest first, and no buffer may lie across a wall
between two. A placement that takes the lowest address for each buffer then fills fast memory first, and as `placement`
argues for one memory, for some order it is as good as any: in the order of a best placement no buffer comes to lie
higher than there, so none moves to a slower memory. The search is over orders again: all where there are few buffers.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from mnetdsl.plan.placement import Layout, find_offsets

_EXACT_BUFFERS = 8
_EXACT_VISITS = 20_000
_LOCAL_TRIALS = (60, 600)
_LOCAL_WORK = 1_000_000


@dataclass(frozen=True)
class Spread:
    """Of each buffer the number of its memory and the offset there; the bytes used of each memory."""

    memories: tuple[int, ...]
    offsets: tuple[int, ...]
    used: tuple[int, ...]


def spread(
    layout: Layout,
    starts: Sequence[Sequence[int]],
    accesses: Sequence[int],
    capacities: Sequence[int],
    bound: Callable[[Collection[int]], int],
) -> Spread:
    """Places buffers in memories of `capacities` bytes, the fastest first. What does not fit exceeds the last one.

    `accesses` are bytes read and written by buffer. `bound` tells for some buffers how many bytes they need at least.
    """
    sizes = [capacity // layout.alignment * layout.alignment for capacity in capacities]
    ends = [sum(sizes[: count + 1]) for count in range(len(sizes))]
    walled = replace(layout, walls=tuple(ends[:-1]))
    rated = _Rated(walled, tuple(accesses), tuple(ends))
    order = min(_orders(layout, starts, accesses), key=lambda order: rated.rate(order)[0])
    if rated.rate(order)[0].excess:
        offsets, _ = find_offsets(walled, [order, *starts], ends[-1])
        order = sorted(range(len(offsets)), key=lambda i: (offsets[i], i))
    if not rated.rate(order)[0].excess:
        order = _exact(rated, order) if len(order) <= _EXACT_BUFFERS else _local(rated, order)
    return _packed(layout, rated, order, bound)


@dataclass(frozen=True, order=True)
class Rating:
    """The smaller the better: bytes that do not fit, then accesses times how slow the memory is, then addresses."""

    excess: int
    slowness: int
    top: int


@dataclass(frozen=True)
class _Rated:
    layout: Layout
    accesses: tuple[int, ...]
    ends: tuple[int, ...]

    def memory(self, address: int) -> int:
        return min(bisect_right(self.ends, address), len(self.ends) - 1)

    def rate(self, order: Sequence[int]) -> tuple[Rating, list[int]]:
        offsets, top = self.layout.place(order)
        slowness = sum(count * self.memory(offset) for count, offset in zip(self.accesses, offsets, strict=True))
        return Rating(max(0, top - self.ends[-1]), slowness, top), offsets


def _orders(layout: Layout, starts: Sequence[Sequence[int]], accesses: Sequence[int]) -> list[list[int]]:
    """Those that are accessed most for their size first, then the orders that make a small arena."""
    dense = sorted(range(len(accesses)), key=lambda i: (-accesses[i] / max(1, layout.sizes[i]), -accesses[i], i))
    return [dense, *(list(start) for start in starts)]


def _exact(rated: _Rated, order: list[int]) -> list[int]:
    """Every order, cut where what is placed is no better than the best; ends early after `_EXACT_VISITS` prefixes."""
    count, best = len(order), order
    best_rating = rated.rate(order)[0]
    visits = 0
    stack: list[tuple[tuple[int, ...], tuple[int | None, ...], Rating]] = [((), (None,) * count, Rating(0, 0, 0))]
    while stack and visits < _EXACT_VISITS:
        prefix, offsets, rating = stack.pop()
        if rating >= best_rating:
            continue
        if len(prefix) == count:
            best, best_rating = list(prefix), rating
            continue
        visits += 1
        for index in reversed(order):
            if index not in prefix:
                address = rated.layout.lowest(index, offsets)
                top = max(rating.top, address + rated.layout.sizes[index])
                slowness = rating.slowness + rated.accesses[index] * rated.memory(address)
                reached = Rating(max(0, top - rated.ends[-1]), slowness, top)
                if reached < best_rating:
                    placed = (*offsets[:index], address, *offsets[index + 1 :])
                    stack.append(((*prefix, index), placed, reached))
    return best


def _local(rated: _Rated, order: list[int]) -> list[int]:
    """Moves buffers that lie in slow memory, and sometimes any buffer, to other places of the order."""
    choose = random.Random(len(order))
    current = list(order)
    rating, offsets = rated.rate(current)
    fewest, most = _LOCAL_TRIALS
    for _ in range(min(most, max(fewest, _LOCAL_WORK // len(order) ** 2))):
        slow = [i for i in current if rated.memory(offsets[i]) > 0]
        if not slow:
            break
        pool = slow if choose.random() < 0.7 else current
        moved = pool[int(choose.random() * len(pool))]
        limit = current.index(moved) + 1 if pool is slow else len(current)
        trial = [index for index in current if index != moved]
        trial.insert(int(choose.random() * limit), moved)
        reached, addresses = rated.rate(trial)
        if reached <= rating:
            current, rating, offsets = trial, reached, addresses
    return current


def _packed(layout: Layout, rated: _Rated, order: Sequence[int], bound: Callable[[Collection[int]], int]) -> Spread:
    """Each memory on its own, as small as it gets."""
    _, addresses = rated.rate(order)
    memories = [rated.memory(address) for address in addresses]
    offsets, used = [0] * len(memories), []
    for memory in range(len(rated.ends)):
        inside = [index for index in range(len(memories)) if memories[index] == memory]
        if not inside:
            used.append(0)
            continue
        own = _part(layout, inside)
        by_address = sorted(range(len(inside)), key=lambda i: (addresses[inside[i]], i))
        by_size = sorted(range(len(inside)), key=lambda i: (-own.sizes[i], i))
        found, top = find_offsets(own, [by_address, by_size], bound(inside))
        used.append(top)
        for index, offset in zip(inside, found, strict=True):
            offsets[index] = offset
    return Spread(tuple(memories), tuple(offsets), tuple(used))


def _part(layout: Layout, inside: Sequence[int]) -> Layout:
    """The layout of some buffers, numbered anew."""
    numbers = {index: number for number, index in enumerate(inside)}
    forbidden = tuple(
        {numbers[other]: intervals for other, intervals in layout.forbidden[index].items() if other in numbers}
        for index in inside
    )
    return Layout(tuple(layout.sizes[index] for index in inside), forbidden, layout.alignment)
