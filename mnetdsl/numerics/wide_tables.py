"""Unary functions of 16-bit numbers: tables of 513 entries, 128 numbers apart, and straight lines in between.

TensorFlow Lite: `LUTPopulate` and `LUTLookup` of kernels/internal/common.h. Its own int16 kernels of logistic and tanh
are others; this form serves every function alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics import functions
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.grid import LIMITS, Grid
from mnetdsl.numerics.rounding import round_half_away, saturate
from mnetdsl.numerics.tables import clamped

ENTRIES = 513
_STEPS = ENTRIES - 1
_APART = 7
"""Bits of a stored number between two entries."""
_LOW, _HIGH = LIMITS["int16"]

FUNCTIONS: dict[str, functions.Function] = {
    "sigmoid": functions.sigmoid,
    "tanh": functions.tanh,
    "gelu": functions.gelu,
    "silu": functions.silu,
    "hard_sigmoid": functions.hard_sigmoid,
    "hard_swish": functions.hard_swish,
}


def wide_table(function: functions.Function, source: Grid, result: Grid) -> NDArray[np.int16]:
    """[513]: `function` at -32768, -32640, …, 32767, less half of the error that a straight line makes in the middle.

    Both grids are int16 with zero point 0.
    """
    half = np.float32(0.5)
    first = source.single * np.float32(_LOW - source.zero_point)
    last = source.single * np.float32(_HIGH - source.zero_point)
    step = (last - first) / np.float32(_STEPS)
    positions = first + np.arange(_STEPS, dtype=np.float32) * step
    following = first + np.arange(1, ENTRIES, dtype=np.float32) * step
    lowest = result.single * np.float32(_LOW - result.zero_point)
    highest = result.single * np.float32(_HIGH - result.zero_point)
    factor = np.float32(_HIGH - _LOW + 1) / (highest - lowest)
    samples = _rounded(_single(function, positions) * factor)
    middles = _rounded(_single(function, positions + half * step) * factor)
    lines = _rounded((_single(function, following) * factor + samples) / np.float32(2))
    table = samples - _rounded((lines - middles) / np.float32(2))
    end = _rounded(_single(function, np.array([last], np.float32)) * factor)
    whole: NDArray[np.int16] = np.clip(np.concatenate([table, end]), _LOW, _HIGH).astype(np.int16)
    return whole


def _single(function: functions.Function, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return function(x).astype(np.float32)


def _rounded(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return round_half_away(x).astype(np.float32)


def wide_lookup(q: NDArray[np.int16], table: NDArray[Any]) -> NDArray[np.int16]:
    """The value of `table` [513] at each number, between its two nearest entries."""
    x = q.astype(np.int32)
    index = (x >> _APART) + _STEPS // 2
    base = table[index].astype(np.int32)
    slope = table[index + 1].astype(np.int32) - base
    offset = x & ((1 << _APART) - 1)
    values: NDArray[np.int16] = (base + ((slope * offset + (1 << (_APART - 1))) >> _APART)).astype(np.int16)
    return values


def wide_unary(function: str, q: NDArray[np.int16], source: Grid, result: Grid) -> NDArray[Any]:
    """`function`, the opcode of a unary operation, of 16-bit numbers."""
    if function in ("relu", "relu6"):
        return clamped(q, source, result, activation_range(result, function))
    values = wide_lookup(q, wide_table(FUNCTIONS[function], source, result))
    return saturate(values, result.low, result.high, result.dtype)
