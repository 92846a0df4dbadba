"""Real numbers to stored ones and back, and from one grid to another.

TensorFlow Lite: `AffineQuantize` of reference/quantize.h, `Dequantize` of reference/dequantize.h, `Requantize` of
reference/requantize.h.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.requantization import multiply_by_quantized_multiplier, quantize_multiplier
from mnetdsl.numerics.rounding import round_half_away, saturate


def quantize(x: NDArray[np.float32], grid: Grid) -> NDArray[Any]:
    """x / scale in float32, rounded half away from zero, + zero_point, saturated. NaN becomes the zero point."""
    with np.errstate(over="ignore", invalid="ignore"):
        steps = round_half_away(x / grid.single)
        return saturate(np.where(np.isnan(steps), 0.0, steps) + grid.zero_point, grid.low, grid.high, grid.dtype)


def dequantize(q: NDArray[Any], grid: Grid) -> NDArray[np.float32]:
    """(q - zero_point) * scale, rounded once to float32."""
    real: NDArray[np.float32] = (q.astype(np.int32) - grid.zero_point).astype(np.float32) * grid.single
    return real


def requantize(q: NDArray[Any], source: Grid, result: Grid) -> NDArray[Any]:
    """q - zero_point times source scale / result scale (divided in float64), + zero_point, saturated."""
    factor = quantize_multiplier(source.scale / result.scale)
    steps = multiply_by_quantized_multiplier(q.astype(np.int32) - source.zero_point, *factor)
    return saturate(steps + result.zero_point, result.low, result.high, result.dtype)
