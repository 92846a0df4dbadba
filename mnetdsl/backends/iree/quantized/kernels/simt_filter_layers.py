"""Layers of stored bytes with a filter, and the kernels of scalar invocations that they take."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.executables import Call, Sized
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.simt.pointwise import FEW_ROWS
from mnetdsl.backends.iree.kernels.workshop import Shop
from mnetdsl.backends.iree.quantized.kernels.simt_filters import channel_words, weight_words
from mnetdsl.backends.iree.quantized.kernels.simt_pointwise import DEPTH, TILE, SimtBytePointwise, SimtByteRows
from mnetdsl.backends.iree.quantized.kernels.simt_shop import WIDE, is_bytes, run, words
from mnetdsl.backends.iree.quantized.kernels.simt_window import (
    SimtByteConvolution,
    SimtByteDepthwise,
    SimtByteMultiplied,
    Sliding,
)
from mnetdsl.backends.iree.quantized.kernels.simt_words import Factors, result_numbers, words_of
from mnetdsl.backends.iree.quantized.layer import Numbers
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.quantized.simt import fits_byte
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.clamps import activation_range


def filter_layer(shop: Shop, op: Op) -> str | Unsuitable:
    """A convolution or a dense layer."""
    assert isinstance(op, Conv2d | DepthwiseConv2d | Dense)
    if not is_bytes(op.input, op.result):
        return WIDE
    numbers = Numbers(shop.scope, op, unsigned_products=True)
    plain = fits_byte(numbers.filter)
    zero = 0 if plain else numbers.filter_zero_point
    taps = numbers.filter.astype(np.int8) if plain else (numbers.filter + zero).astype(np.uint8)
    factors = Factors.of(*numbers.factors)
    columns = padded_size(op.type.shape[-1], TILE)
    variant = (op.input.type.element is ElementType.I8, not plain, factors)
    given = {"columns": columns, "weight_zero": zero}
    given |= result_numbers(numbers.result, activation_range(numbers.result, op.activation))
    kernel, weights, call = _filter(numbers, taps, variant, given)
    arguments = [
        words(shop, op.input),
        shop.scope.prepared(f"{op.name}.packed", weights),
        shop.scope.prepared(f"{op.name}.packed_finish", _table(numbers, factors, columns)),
    ]
    return run(shop, op, kernel, arguments, call)


def _filter(
    numbers: Numbers,
    taps: NDArray[Any],
    variant: tuple[bool, bool, Factors],
    given: dict[str, int],
) -> tuple[Sized, NDArray[np.int32], Call]:
    """The kernel, its weights and its dispatch."""
    op = numbers.op
    channels, columns, zero = op.type.shape[-1], given["columns"], given["weight_zero"]
    depth = words_of(op.input.type.shape[-1])
    if isinstance(op, Dense) or (isinstance(op, Conv2d) and _is_pointwise(op)):
        rows = prod(op.type.shape[:-1])
        kind = SimtByteRows if rows < FEW_ROWS else SimtBytePointwise
        kernel = kind(*variant)
        matrix = taps.reshape(-1, channels)
        packed = weight_words(matrix, padded_size(depth, DEPTH) * BYTES, columns, zero)
        return kernel, packed, kernel.call(rows, depth, channels, given)
    assert isinstance(op, Conv2d | DepthwiseConv2d)
    sliding = _sliding(numbers, op)
    if isinstance(op, Conv2d):
        convolution = SimtByteConvolution(*variant)
        return convolution, weight_words(taps, depth * BYTES, columns, zero), convolution.call(sliding, channels, given)
    multiplier = op.filter.type.shape[3]
    flat = channel_words(taps.reshape(*taps.shape[:2], channels))
    if multiplier == 1:
        depthwise = SimtByteDepthwise(*variant)
        return depthwise, flat, depthwise.call(sliding, channels, given)
    multiplied = SimtByteMultiplied(*variant)
    return multiplied, flat, multiplied.call(sliding, channels, given | {"multiplier": multiplier})


def _sliding(numbers: Numbers, op: Conv2d | DepthwiseConv2d) -> Sliding:
    _, height, width, channels = op.input.type.shape
    _, rows, columns, _ = op.type.shape
    kernel_height, kernel_width = op.filter.type.shape[:2]
    top, bottom, left, right = op.padding
    return Sliding(
        (height, width),
        channels,
        (rows, columns),
        (kernel_height, kernel_width),
        (op.strides[0], op.strides[1]),
        (op.dilations[0], op.dilations[1]),
        (top, bottom, left, right),
        numbers.border,
    )


def _is_pointwise(op: Conv2d) -> bool:
    return op.filter.type.shape[:2] == (1, 1) and op.strides == (1, 1) and not any(op.padding)


def _table(numbers: Numbers, factors: Factors, columns: int) -> NDArray[np.int32]:
    """[bias, numbers of the factors][columns]."""
    table = np.stack([numbers.bias, *factors.table(*numbers.factors)]).astype(np.int32)
    return np.pad(table, [(0, 0), (0, columns - table.shape[1])])
