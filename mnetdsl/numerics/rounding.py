"""Roundings of C that NumPy does not have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.requantization import Integers


def round_half_away(x: NDArray[Any]) -> NDArray[np.float64]:
    """`std::round`: the nearest integer, a half away from zero; of float32 numbers, without a second rounding."""
    wide = x.astype(np.float64)
    result: NDArray[np.float64] = np.copysign(np.floor(np.abs(wide) + 0.5), wide)
    return result


def divide_half_away(x: Integers, divisor: NDArray[np.int64] | int) -> Integers:
    """x / divisor to the nearest integer, a half away from zero; divisor is above 0 (an odd one has no halves)."""
    magnitude = (np.abs(x) + np.asarray(divisor) // 2) // divisor
    result: Integers = np.where(x < 0, -magnitude, magnitude)
    return result


def saturate(x: NDArray[Any], low: int, high: int, dtype: str) -> NDArray[Any]:
    """x between `low` and `high`, as `dtype`."""
    result: NDArray[Any] = np.clip(x, low, high).astype(dtype)
    return result
