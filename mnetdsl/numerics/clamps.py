"""The bounds that a fused activation sets to stored integers."""

from __future__ import annotations

import numpy as np

from mnetdsl.numerics.grid import Grid

UPPER = {"none": None, "relu": None, "relu6": 6.0}
"""Activations that are clamps, and their upper bound."""


def stored_number(grid: Grid, real: float) -> int:
    """`real` on the grid, not clamped: the quotient in float32, rounded half away from zero."""
    quotient = np.float64(np.float32(real) / grid.single)
    return grid.zero_point + int(np.copysign(np.floor(np.abs(quotient) + 0.5), quotient))


def activation_range(grid: Grid, activation: str) -> tuple[int, int]:
    """Smallest and largest stored number of a layer with `activation` (`CalculateActivationRangeQuantized`)."""
    upper = UPPER[activation]
    low = grid.low if activation == "none" else max(grid.low, stored_number(grid, 0.0))
    return low, grid.high if upper is None else min(grid.high, stored_number(grid, upper))


def clamp_range(grid: Grid, low: float, high: float) -> tuple[int, int]:
    """Smallest and largest stored number of `clamp(low, high)` of real numbers."""
    return max(grid.low, stored_number(grid, low)), min(grid.high, stored_number(grid, high))
