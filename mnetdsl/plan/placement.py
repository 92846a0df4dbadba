"""Offsets of buffers such that no two that meet collide, and the arena is small.

Buffer i may not lie at an address for which addr_i - addr_j falls into one of the open intervals that `Layout`
holds for the pair. For buffers that must not overlap that is (-size_i, size_j); an overlap rule shrinks it.

Placing buffers in some order, each at the lowest address that the earlier ones leave, reaches the optimum for at least
one order: take an optimal placement and its buffers by rising address; by induction none comes to lie higher than
there. So the search is over orders: a few good ones, an exact search where there are few buffers, and a seeded local
search otherwise, each ending as soon as the lower bound is reached.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

Interval = tuple[int, int]
_EXACT_BUFFERS = 9
_EXACT_VISITS = 20_000
_LOCAL_TRIALS = (100, 1500)
_LOCAL_WORK = 2_000_000


@dataclass(frozen=True)
class Layout:
    """Buffers and what keeps them apart. `forbidden[i][j]` are open intervals of addr_i - addr_j.

    No buffer lies across one of the addresses `walls`.
    """

    sizes: tuple[int, ...]
    forbidden: tuple[dict[int, tuple[Interval, ...]], ...]
    alignment: int
    walls: tuple[int, ...] = ()

    def lowest(self, index: int, offsets: Sequence[int | None]) -> int:
        """Lowest aligned address of a buffer beside those placed already."""
        blocked: list[Interval] = [(wall - self.sizes[index], wall) for wall in self.walls]
        for other, intervals in self.forbidden[index].items():
            base = offsets[other]
            if base is not None:
                blocked += [(base + low, base + high) for low, high in intervals]
        blocked.sort()
        address = 0
        for low, high in blocked:
            if low >= address:
                break
            if address < high:
                address = -(-high // self.alignment) * self.alignment
        return address

    def place(self, order: Sequence[int]) -> tuple[list[int], int]:
        """Addresses by buffer and the bytes they need, placing in `order`."""
        offsets: list[int | None] = [None] * len(self.sizes)
        top = 0
        for index in order:
            address = self.lowest(index, offsets)
            offsets[index] = address
            top = max(top, address + self.sizes[index])
        return [offset or 0 for offset in offsets], top


def find_offsets(layout: Layout, starts: Sequence[Sequence[int]], bound: int) -> tuple[list[int], int]:
    """The best addresses found from the `starts` orders, stopping at `bound` bytes."""
    candidates = [(layout.place(order)[1], position) for position, order in enumerate(starts)]
    best_top, position = min(candidates)
    best = list(starts[position])
    if best_top > bound and len(layout.sizes) <= _EXACT_BUFFERS:
        best, best_top = _exact(layout, best, best_top, bound)
    elif best_top > bound:
        best, best_top = _local(layout, best, best_top, bound)
    return layout.place(best)[0], best_top


def _exact(layout: Layout, order: list[int], top: int, bound: int) -> tuple[list[int], int]:
    """Every order, cut where a prefix is no better than the best; ends early after `_EXACT_VISITS` prefixes."""
    count = len(layout.sizes)
    best, best_top, visits = order, top, 0
    stack: list[tuple[tuple[int, ...], tuple[int | None, ...], int]] = [((), (None,) * count, 0)]
    while stack and best_top > bound and visits < _EXACT_VISITS:
        prefix, offsets, height = stack.pop()
        if height >= best_top:
            continue
        if len(prefix) == count:
            best, best_top = list(prefix), height
            continue
        visits += 1
        for index in reversed(order):
            if index not in prefix:
                address = layout.lowest(index, offsets)
                reached = max(height, address + layout.sizes[index])
                if reached < best_top:
                    placed = (*offsets[:index], address, *offsets[index + 1 :])
                    stack.append(((*prefix, index), placed, reached))
    return best, best_top


def _local(layout: Layout, order: list[int], top: int, bound: int) -> tuple[list[int], int]:
    """Moves buffers that end at the top, and sometimes any buffer, to earlier places of the order."""
    choose = random.Random(len(order))

    def below(limit: int) -> int:
        """Of a generator's numbers, Python promises those of `random` alone to stay the same in every version."""
        return int(choose.random() * limit)

    current, best, best_top = list(order), list(order), top
    current_top = top
    fewest, most = _LOCAL_TRIALS
    for _ in range(min(most, max(fewest, _LOCAL_WORK // len(order) ** 2))):
        if best_top <= bound:
            break
        offsets, _ = layout.place(current)
        highest = [i for i in range(len(order)) if offsets[i] + layout.sizes[i] == current_top]
        if choose.random() < 0.7:
            moved = highest[below(len(highest))]
            place = below(current.index(moved) + 1)
        else:
            moved, place = below(len(order)), below(len(order))
        trial = [index for index in current if index != moved]
        trial.insert(place, moved)
        reached = layout.place(trial)[1]
        if reached <= current_top:
            current, current_top = trial, reached
        if reached < best_top:
            best, best_top = trial, reached
    return best, best_top
