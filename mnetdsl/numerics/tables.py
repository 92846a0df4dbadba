"""Unary functions of 8-bit numbers: f(q) for each of the 256 numbers.

A table's entry i belongs to the stored number of the bits i: of int8, entry 0 to q = 0 and entry 255 to q = -1.
Every function has the arithmetic that TensorFlow Lite gives it; those that it lacks are computed in float64 and
rounded once, half away from zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics import functions
from mnetdsl.numerics.clamps import activation_range, clamp_range
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.hard_swish import hard_swish
from mnetdsl.numerics.requantization import multiply_by_quantized_multiplier, quantize_multiplier
from mnetdsl.numerics.rounding import round_half_away, saturate
from mnetdsl.numerics.scales import ratio_single

ENTRIES = 256

CLAMPS = ("relu", "relu6")
SINGLE: dict[str, functions.Function] = {
    "sigmoid": functions.sigmoid_single,
    "tanh": functions.tanh,
    "gelu": functions.gelu,
}
"""Functions whose tables TensorFlow Lite makes in float32 (`PopulateLookupTable`, `LUTPopulate`)."""
DOUBLE: dict[str, functions.Function] = {
    "silu": functions.silu,
    "hard_sigmoid": functions.hard_sigmoid,
}
"""Functions that TensorFlow Lite has no kernel for."""


def all_stored(dtype: str) -> NDArray[Any]:
    """[256]: every number of an 8-bit `dtype`, in the order of a table."""
    return np.arange(ENTRIES, dtype=np.uint8).view(dtype)


def unary_table(function: str, source: Grid, result: Grid) -> NDArray[Any]:
    """[256] of the dtype of `result`: `function` is an opcode of a unary operation, `source` a grid of 8 bits."""
    q = all_stored(source.dtype)
    if function in CLAMPS:
        return clamped(q, source, result, activation_range(result, function))
    if function == "hard_swish":
        return hard_swish(q, source, result)
    if function in SINGLE:
        return _in_single(SINGLE[function], q, source, result)
    real = DOUBLE[function]((q.astype(np.float64) - source.zero_point) * source.scale)
    return saturate(round_half_away(real / result.scale) + result.zero_point, result.low, result.high, result.dtype)


def clamp_table(low: float, high: float, source: Grid, result: Grid) -> NDArray[Any]:
    """[256] of the dtype of `result`: the numbers of `source` between two real numbers."""
    return clamped(all_stored(source.dtype), source, result, clamp_range(result, low, high))


def clamped(q: NDArray[Any], source: Grid, result: Grid, bounds: tuple[int, int]) -> NDArray[Any]:
    """`q` on the grid of the result, between two stored numbers.

    As `QuantizedReluX` of activations.cc: the scales are divided in float32.
    """
    factor = quantize_multiplier(ratio_single(source, result))
    steps = multiply_by_quantized_multiplier(q.astype(np.int32) - source.zero_point, *factor)
    return saturate(steps + result.zero_point, *bounds, result.dtype)


def _in_single(function: functions.Function, q: NDArray[Any], source: Grid, result: Grid) -> NDArray[Any]:
    real = source.single * (q.astype(np.int32) - source.zero_point).astype(np.float32)
    steps = round_half_away(function(real).astype(np.float32) * (np.float32(1) / result.single))
    return saturate(steps + result.zero_point, result.low, result.high, result.dtype)


def lookup(q: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """Entries of `table` [256], or [C, 256] by the last dimension of `q`, for 8-bit numbers."""
    entries = np.ascontiguousarray(q).view(np.uint8)
    if table.ndim == 1:
        return table[entries]
    found: NDArray[Any] = table[np.arange(table.shape[0]), entries]
    return found
