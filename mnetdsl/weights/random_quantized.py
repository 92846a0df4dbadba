"""Made-up weights of quantized layers, whose results use most of their range and sometimes leave it.

The sum of a layer's products has a standard deviation of sqrt(fan_in) * that of a weight * that of an input; the
scale is such that the stored result has one of about a quarter of its range.
"""

from __future__ import annotations

from math import sqrt
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.types import ElementType, Quantization
from mnetdsl.weights.expected import Expected

_WEIGHT_DEVIATION = 127.0 / sqrt(3.0)
"""Of integers spread evenly over -127 to 127."""
_RANGE_DEVIATION = {ElementType.I8: 64.0, ElementType.U8: 64.0, ElementType.I16: 8192.0}
_UNSIGNED_CENTER = 128

QUANTIZED_RANGES = ("filter", "bias", "filter_scale", "filter_zero_point")
"""Operands that `quantized_weight` makes up."""


def fan_in(op: Op) -> int:
    """Products in each sum of a layer with weights, 1 for any other."""
    match op:
        case Conv2d():
            height, width, channels, _ = op.filter.type.shape
            return height * width * channels
        case DepthwiseConv2d():
            height, width, _, _ = op.filter.type.shape
            return height * width
        case Dense():
            return op.filter.type.shape[0]
        case _:
            return 1


def quantized_weight(item: Expected, draws: NDArray[np.float64]) -> NDArray[np.generic]:
    """The array of `item` from `draws` in [0, 1) of its shape: an operand of a quantized layer."""
    op = item.op
    assert op is not None
    source, result = op.operand_group("input")[0].type, op.type
    deviation = sqrt(fan_in(op)) * _WEIGHT_DEVIATION * _RANGE_DEVIATION[source.element]
    if item.operand == "filter_scale":
        scales = _per_tensor(result.quantization) * _RANGE_DEVIATION[result.element]
        middle = scales / (deviation * _per_tensor(source.quantization))
        return cast("NDArray[np.generic]", (middle * (0.5 + draws)).astype(np.float32))
    if item.operand == "filter_zero_point":
        return np.full(item.type.shape, _UNSIGNED_CENTER, item.type.element.dtype)
    limit = deviation if item.operand == "bias" else 127.0
    center = _UNSIGNED_CENTER if item.type.element is ElementType.U8 else 0
    spread = np.rint(limit * (2.0 * draws - 1.0)) + center
    return cast("NDArray[np.generic]", spread.astype(item.type.element.dtype))


def _per_tensor(quantization: Quantization | None) -> float:
    assert quantization is not None
    return quantization.scale[0]
