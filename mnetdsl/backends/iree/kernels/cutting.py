"""A run of layers cut into kernels, so that these cost least in sum."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Part = TypeVar("Part")


def cheapest_cut(run: Sequence[Item], ways: Callable[[Sequence[Item]], Iterable[tuple[Part, float]]]) -> list[Part]:
    """What `ways` made of the parts, in their order. It is asked for the ways in which neighbours can be one part, with
    the cost of each; a single item has one."""
    best: list[tuple[float, list[Part]]] = [(0.0, [])]
    for end in range(1, len(run) + 1):
        choices = [
            (best[start][0] + cost, [*best[start][1], part])
            for start in range(end)
            for part, cost in ways(run[start:end])
        ]
        best.append(min(choices, key=lambda choice: choice[0]))
    return best[-1][1]
