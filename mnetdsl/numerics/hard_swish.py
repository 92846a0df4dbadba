"""hard_swish of 8-bit numbers, x * relu6(x + 3) / 6 in fixed point of 16 bits.

TensorFlow Lite: `HardSwish` of reference/hard_swish.h, with the multipliers of activations.cc.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.requantization import Integers, quantize_multiplier, rounding_divide_by_power_of_two
from mnetdsl.numerics.rounding import saturate

_FINER = 7
"""Bits by which the input is shifted left, to use all 16."""
_LARGEST, _SMALLEST = 32767, -32768


def hard_swish_factors(source: Grid, result: Grid) -> tuple[tuple[int, int], tuple[int, int]]:
    """16-bit multipliers and shifts to the scale of the result, and to the scale where 3.0 is 32768.

    TensorFlow Lite refuses a first shift above 0: a result's scale below 1/128 of the input's.
    """
    finer = np.float32(1.0 / (1 << _FINER)) * source.single
    return _narrow(float(finer / result.single)), _narrow(float(finer / (np.float32(3) / np.float32(32768))))


def _narrow(factor: float) -> tuple[int, int]:
    multiplier, shift = quantize_multiplier(factor)
    return min((multiplier + (1 << 15)) >> 16, _LARGEST), shift


def hard_swish(q: NDArray[Any], source: Grid, result: Grid) -> NDArray[Any]:
    """`q` on the grid `source`, both grids of 8 bits."""
    (output_multiplier, output_shift), (gate_multiplier, gate_shift) = hard_swish_factors(source, result)
    x = (q.astype(np.int64) - source.zero_point) << _FINER
    scaled = _high_multiply(x, output_multiplier)
    gate = _saturated(x << (gate_shift - 1)) if gate_shift > 0 else x
    gate = _high_multiply(gate, gate_multiplier)
    if gate_shift > 0:
        gate = _saturated(gate << 1)
    elif gate_shift < 0:
        gate = rounding_divide_by_power_of_two(gate, -gate_shift)
    # From -1 … 1 to 0 … 1.
    gate = (gate + (1 << 15)) >> 1
    product = gate * scaled
    # Towards zero: it cancels the bias of the roundings above.
    raised = np.sign(product) * (np.abs(product) >> 15)
    steps = rounding_divide_by_power_of_two(raised, max(-output_shift, 0))
    return saturate((steps << max(output_shift, 0)) + result.zero_point, result.low, result.high, result.dtype)


def _high_multiply(x: Integers, multiplier: int) -> Integers:
    product: Integers = (x * multiplier + (1 << 14)) >> 15
    return product


def _saturated(x: Integers) -> Integers:
    return np.clip(x, _SMALLEST, _LARGEST)
