"""Convolutions of every kind and dense layers of stored bytes: their kernels, weights and biases."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from mnetdsl.backends.iree.kernels.blocking import FEW_ROWS, WIDEST, choose_block
from mnetdsl.backends.iree.kernels.executables import Kernel
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.isa import ByteIsa
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.quantized.kernels.convolution import ByteConvolution, window_quads
from mnetdsl.backends.iree.quantized.kernels.depthwise import ByteDepthwise, choose_strip, depthwise_cases
from mnetdsl.backends.iree.quantized.kernels.finish import Finish
from mnetdsl.backends.iree.quantized.kernels.finishes import finish_of
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish
from mnetdsl.backends.iree.quantized.kernels.maps import HALF_RANGE, byte_isa, byte_map, framed, run, unsigned
from mnetdsl.backends.iree.quantized.kernels.pointwise import BytePointwise, quads
from mnetdsl.backends.iree.quantized.kernels.tiles import ByteTiles, tile_order, tile_weights
from mnetdsl.backends.iree.quantized.layer import Array, Numbers
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

Parts = tuple[Kernel, MlirValue, Array, Array]
"""The kernel, its map, its weights and its bias."""
FEWEST_PIXELS, FEWEST_COLUMNS, FEWEST_DEPTHS = 16, 4, 16
"""Of a layer that AMX takes: of a pointwise one; of a row, and at each of the window's places, of others."""


def filter_layer(shop: Workshop, op: Op) -> str | Unsuitable:
    """A convolution or a dense layer."""
    assert isinstance(op, Conv2d | DepthwiseConv2d | Dense)
    reason = _unsuitable(op)
    if reason is not None:
        return Unsuitable(reason)
    numbers = Numbers(shop.scope, op)
    lanes = byte_isa(shop).lanes
    channels = padded_size(op.type.shape[-1], lanes)
    tiled = _takes_tiles(byte_isa(shop), numbers, op)
    order = tile_order(channels) if tiled else np.arange(channels)
    finished = finish_of(numbers, order, lanes)
    if finished is None:
        return Unsuitable("some of its factors are 1/2 or more, or tiny")
    finish, table = finished
    if tiled:
        kernel, source, weights, bias = _tiles(shop, numbers, finish, order)
    elif isinstance(op, DepthwiseConv2d):
        kernel, source, weights, bias = _depthwise(shop, numbers, op, finish, channels)
    elif isinstance(op, Conv2d) and not _is_pointwise(op):
        kernel, source, weights, bias = _convolution(shop, numbers, op, finish, channels)
    else:
        kernel, source, weights, bias = _pointwise(shop, numbers, finish, channels)
    constants = [
        shop.scope.prepared(f"{op.name}.packed", weights),
        shop.scope.prepared(f"{op.name}.packed_bias", bias.astype(np.int32)),
        shop.scope.prepared(f"{op.name}.packed_finish", table),
    ]
    return run(shop, op, kernel, [source, *constants])


def _unsuitable(op: Conv2d | DepthwiseConv2d | Dense) -> str | None:
    if op.input.type.element.byte_width != 1 or op.type.element.byte_width != 1:
        return "its numbers have 16 bits"
    if not isinstance(op, Dense) and op.dilations != (1, 1):
        return "its window is dilated"
    if isinstance(op, DepthwiseConv2d) and op.filter.type.shape[3] != 1:
        return f"each of its channels has {op.filter.type.shape[3]} kernels"
    return None


def _is_pointwise(op: Conv2d) -> bool:
    return op.filter.type.shape[:2] == (1, 1) and op.strides == (1, 1) and not any(op.padding)


def _takes_tiles(isa: ByteIsa, numbers: Numbers, op: Conv2d | DepthwiseConv2d | Dense) -> bool:
    """Whether AMX takes the layer: there are pixels to fill tiles, and depths to fill their rows."""
    if not isa.tiles or isinstance(op, DepthwiseConv2d | Dense) or len(byte_parts(isa, numbers.filter)) > 1:
        return False
    _, height, width, _ = op.type.shape
    if _is_pointwise(op):
        return height * width >= FEWEST_PIXELS
    return op.input.type.shape[-1] >= FEWEST_DEPTHS and height >= 2 and width >= FEWEST_COLUMNS


def _padded(array: Array, channels: int) -> Array:
    """Zeros behind the last axis."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, channels - array.shape[-1])])


def _pointwise(shop: Workshop, numbers: Numbers, finish: Finish | FloatFinish, channels: int) -> Parts:
    op, isa = numbers.op, byte_isa(shop)
    source = byte_map(shop, op.input)
    rows = prod(op.type.shape[:-1])
    widest = 2 if 1 < rows <= FEW_ROWS else WIDEST
    block = choose_block(isa, rows, channels // isa.lanes, widest)
    kernel = BytePointwise(rows, source.pitch, channels, isa, block, finish)
    parts = byte_parts(isa, numbers.filter.reshape(-1, op.type.shape[-1]))
    kernel = replace(kernel, parts=len(parts))
    matrix = np.pad(parts, [(0, 0), (0, source.pitch - parts.shape[1]), (0, channels - parts.shape[2])])
    border = unsigned(numbers.source, numbers.source.zero_point) - _lowered(isa)
    bias = _padded(numbers.plain_bias, channels) - border * matrix.astype(np.int64).sum(axis=(0, 1))
    return kernel, source.value, quads(isa, matrix, block.vectors * isa.lanes), bias


def byte_parts(isa: ByteIsa, filter: Array) -> Array:
    """[parts, …] int16: the filter, or two filters that add up to it where its numbers have 9 bits and operands 8."""
    if isa.wide:
        return filter[None]
    first = np.clip(filter, -HALF_RANGE, HALF_RANGE - 1)
    parts = [first] if np.array_equal(first, filter) else [first, filter - first]
    return np.stack(parts)


def _lowered(isa: ByteIsa) -> int:
    """What instructions take from stored bytes."""
    return HALF_RANGE if isa.signed else 0


def _tiles(shop: Workshop, numbers: Numbers, finish: Finish | FloatFinish, order: Array) -> Parts:
    op = numbers.op
    assert isinstance(op, Conv2d)
    depth = padded_size(op.input.type.shape[-1], byte_isa(shop).lanes)
    border = unsigned(numbers.source, numbers.source.zero_point)
    _, height, width, _ = op.input.type.shape
    if _is_pointwise(op):
        source = byte_map(shop, op.input).value
        window = Window((1, height * width), (1, 1), (1, 1), (0, 0, 0, 0))
    else:
        top, bottom, left, right = op.padding
        size = (top + height + bottom, left + width + right)
        window = Window.of((1, *size, depth), op.filter.type.shape, op.strides, (0, 0, 0, 0))
        source = framed(shop, op.input, depth, (top, bottom, left, right), border)
    kernel = ByteTiles(window, depth, len(order), prod(window.size) * depth, finish, shop.chaining.workgroups)
    taps = np.pad(
        numbers.filter,
        [(0, 0), (0, 0), (0, depth - numbers.filter.shape[2]), (0, len(order) - numbers.filter.shape[3])],
    )
    matrix = taps.reshape(taps.shape[0], -1, len(order))
    bias = _padded(numbers.plain_bias, len(order)) - border * matrix.astype(np.int64).sum(axis=(0, 1))
    return kernel, source, tile_weights(matrix, kernel.step), bias[order]


def _convolution(shop: Workshop, numbers: Numbers, op: Conv2d, finish: Finish | FloatFinish, channels: int) -> Parts:
    isa = byte_isa(shop)
    top, bottom, left, right = op.padding
    depth = op.input.type.shape[-1]
    border = unsigned(numbers.source, numbers.source.zero_point)
    # A row more than the window reads: the last step of a row may read behind it.
    map = framed(shop, op.input, depth, (top, bottom + 1, left, right), border)
    _, height, width, _ = op.input.type.shape
    size = (top + height + bottom, left + width + right)
    window = Window.of((1, *size, depth), op.filter.type.shape, op.strides, (0, 0, 0, 0))
    bytes = (size[0] + 1) * size[1] * depth
    block = choose_block(isa, window.outputs[1], channels // isa.lanes, 2)
    parts = byte_parts(isa, numbers.filter)
    kernel = ByteConvolution(window, depth, channels, bytes, isa, block, finish, len(parts))
    matrix = _padded(window_quads(parts, kernel.steps), channels)
    moved = (border - _lowered(isa)) * matrix.astype(np.int64).sum(axis=(0, 1))
    bias = _padded(numbers.plain_bias, channels) - moved
    return kernel, map, quads(isa, matrix, block.vectors * isa.lanes), bias


def _depthwise(
    shop: Workshop, numbers: Numbers, op: DepthwiseConv2d, finish: Finish | FloatFinish, channels: int
) -> Parts:
    isa = byte_isa(shop)
    source = byte_map(shop, op.input)
    kernel_size = op.filter.type.shape[:2]
    window = Window.of(op.input.type.shape, kernel_size, op.strides, op.padding)
    border = unsigned(numbers.source, numbers.source.zero_point)
    strip = choose_strip(isa.registers // isa.split, window)
    parts = _padded(byte_parts(isa, numbers.filter[..., 0]), channels)
    kernel = ByteDepthwise(window, channels, isa, strip, border, finish, len(parts))
    weights, sums = depthwise_cases(isa, window, parts, border - _lowered(isa))
    return kernel, source.value, weights, _padded(numbers.plain_bias, channels) - sums
