"""How tensors are listed in messages."""

from __future__ import annotations

from mnetdsl.ir.types import Shape

MAX_LISTED = 12
"""Lines of a list; what is beyond is counted."""


def listing(lines: list[str], total: int) -> tuple[str, ...]:
    """`lines`, and how many of `total` are not among them."""
    more = (f"and {total - len(lines)} more",) if total > len(lines) else ()
    return (*lines, *more)


def count(number: int, noun: str) -> str:
    """`1 tensor`, `3 tensors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def sizes(shape: Shape) -> str:
    """`3x3x8x16`."""
    return "x".join(map(str, shape)) or "scalar"
