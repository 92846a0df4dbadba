"""Functions of the language on numbers; everything else is an operation or a block."""

from __future__ import annotations

import math
from collections.abc import Callable

Number = int | float


def make_divisible(value: float, divisor: int) -> int:
    """The multiple of `divisor` nearest to `value`, at least `divisor`, never below 90 % of `value`.

    The rule by which all MobileNets round widths (`_make_divisible` of the TensorFlow models garden).
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def _round(value: Number) -> int:
    return math.floor(value + 0.5)


FUNCTIONS: dict[str, tuple[int, int, Callable[..., Number]]] = {
    "round8": (1, 1, lambda value: make_divisible(value, 8)),
    "make_divisible": (2, 2, make_divisible),
    "int": (1, 1, int),
    "float": (1, 1, float),
    "round": (1, 1, _round),
    "floor": (1, 1, math.floor),
    "ceil": (1, 1, math.ceil),
    "abs": (1, 1, abs),
    "sqrt": (1, 1, math.sqrt),
    "min": (1, 64, min),
    "max": (1, 64, max),
}
"""Name -> fewest and most arguments, meaning. All arguments are numbers."""
