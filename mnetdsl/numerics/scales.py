"""Factors between scales, in the precision in which TensorFlow Lite computes them.

The last bit of a factor moves results, so where the reference multiplies in float32 it is done so here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.requantization import quantize_multiplier

SUM_HEADROOM = {"int8": 20, "uint8": 20, "int16": 15}
"""Bits by which operands of a sum are shifted left, to keep their fractions."""


def layer_factors(
    source: Grid, filter_scales: NDArray[np.float32], result: Grid, *, dense: bool
) -> NDArray[np.float64]:
    """Factor of each filter scale ([O] or [1]) from a layer's sums to its results: source * filter / result.

    In float64 (`PopulateConvolutionQuantizationParams`), but where the reference has one factor a layer, which is for
    uint8 and for int8 fully connected layers with one filter scale, the product of scales is rounded to float32 first
    (`GetQuantizedConvolutionMultipler`). Fully connected layers of 16 bits are 1x1 convolutions here.
    """
    scales = filter_scales.astype(np.float32)
    if len(scales) == 1 and source.dtype in (("uint8", "int8") if dense else ("uint8",)):
        product = (source.single * scales).astype(np.float64)
    else:
        product = source.scale * scales.astype(np.float64)
    factors: NDArray[np.float64] = product / result.scale
    return factors


def ratio_single(source: Grid, result: Grid) -> float:
    """source scale / result scale, divided in float32."""
    return float(source.single / result.single)


@dataclass(frozen=True)
class SumFactors:
    """Multipliers of `add` and `sub`: both operands, shifted left by `headroom`, come to one scale, then the sum."""

    headroom: int
    left: tuple[int, int]
    right: tuple[int, int]
    result: tuple[int, int]


def sum_factors(left: Grid, right: Grid, result: Grid) -> SumFactors:
    """The scale in between is twice the larger one, so that the sum stays in range (`Prepare` of add.cc and sub.cc)."""
    headroom = SUM_HEADROOM[left.dtype]
    twice = 2.0 * max(left.scale, right.scale)
    return SumFactors(
        headroom,
        quantize_multiplier(left.scale / twice),
        quantize_multiplier(right.scale / twice),
        quantize_multiplier(twice / ((1 << headroom) * result.scale)),
    )


def product_factor(left: Grid, right: Grid, result: Grid) -> tuple[int, int]:
    """Multiplier and shift of `mul`: left * right / result, in float32."""
    return quantize_multiplier(float(left.single * right.single / result.single))
