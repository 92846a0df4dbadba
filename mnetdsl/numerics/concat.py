"""Stored numbers of one tensor on the grid of the tensor that it is joined to.

TensorFlow Lite joins int8 and int16 tensors of equal grids only, and converts uint8 ones in float32
(`ConcatenationWithScaling` of reference/concatenation.h). Where int8 grids differ, we requantize, as the converter
does by an operator in front.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.conversions import requantize
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.rounding import round_half_away, saturate


def joined(q: NDArray[Any], source: Grid, result: Grid) -> NDArray[Any]:
    """`q` as it stands in the joined tensor."""
    if source == result:
        return q
    if source.dtype != "uint8":
        return requantize(q, source, result)
    scale = np.float32(source.single * (np.float32(1) / result.single))
    offset = np.float32(-source.zero_point) * scale
    steps = round_half_away(q.astype(np.float32) * scale + offset)
    return saturate(steps + result.zero_point, result.low, result.high, result.dtype)
