"""Convolutions of every kind and dense layers of stored bytes: their kernels, weights and biases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from mnetdsl.backends.iree.kernels.blocking import FEW_ROWS, WIDEST, WORKGROUPS, choose_block
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
from mnetdsl.backends.iree.quantized.kernels.frames import ByteFrame
from mnetdsl.backends.iree.quantized.kernels.made import ByteLayer, flat
from mnetdsl.backends.iree.quantized.kernels.maps import HALF_RANGE, byte_isa, framed, unsigned
from mnetdsl.backends.iree.quantized.kernels.pointwise import BytePointwise, quads
from mnetdsl.backends.iree.quantized.kernels.tiles import ByteTiles, tile_order, tile_weights
from mnetdsl.backends.iree.quantized.layer import Array, Numbers
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

FEWEST_PIXELS, FEWEST_COLUMNS, FEWEST_DEPTHS = 16, 4, 16
"""Of a layer that AMX takes: of a pointwise one; of a row, and at each of the window's places, of others."""

AnyFinish = Finish | FloatFinish
Weights = Callable[[], tuple[Array, Array]]
"""Packs weights and bias."""
Made = tuple[Kernel, Weights]


@dataclass(frozen=True, eq=False)
class Source:
    """How the kernel reads the layer's map: `window` over it, `pitch` bytes from pixel to pixel, in `frame` where it
    needs one."""

    window: Window
    pitch: int
    frame: ByteFrame | None = None

    def of_rows(self, rows: int | None) -> Source:
        """That of so many rows of the output, or of all."""
        if rows is None:
            return self
        height = (rows - 1) * self.window.strides[0] + self.window.kernel[0]
        return replace(self, window=replace(self.window, size=(height, self.window.size[1])))


def filter_layer(shop: Workshop, op: Op, rows: int | None = None) -> ByteLayer | Unsuitable:
    """A convolution or a dense layer."""
    assert isinstance(op, Conv2d | DepthwiseConv2d | Dense)
    reason = _unsuitable(op)
    if reason is not None:
        return Unsuitable(reason)
    isa = byte_isa(shop)
    numbers = shop.once(op, lambda: Numbers(shop.scope, op))
    channels = padded_size(op.type.shape[-1], isa.lanes)
    tiled = _takes_tiles(isa, numbers, op, rows)
    order = tile_order(channels) if tiled else np.arange(channels)
    finish, table = shop.once((op, tiled), lambda: finish_of(numbers, order, isa.lanes))
    source = _source(numbers, isa, tiled)
    some = source.of_rows(rows)
    workgroups = WORKGROUPS if rows is None else 1
    if isinstance(op, DepthwiseConv2d):
        kernel, weights = _depthwise(isa, numbers, source, finish, channels)
    elif tiled:
        kernel, weights = _tiles(numbers, some, finish, order, min(workgroups, shop.chaining.workgroups))
    elif source.frame is not None:
        kernel, weights = _convolution(isa, numbers, some, finish, channels, workgroups)
    else:
        kernel, weights = _pointwise(isa, numbers, some, finish, channels, workgroups)

    def map() -> MlirValue:
        if source.frame is None:
            return flat(shop, op.input, source.pitch)
        return framed(shop, op.input, source.pitch, source.frame)

    def arrays() -> list[tuple[str, Array]]:
        packed, bias = weights()
        return [("packed", packed), ("packed_bias", bias.astype(np.int32)), ("packed_finish", table)]

    return ByteLayer(
        op,
        kernel,
        source.window,
        (op.input,),
        [map],
        source.window.size[1] * source.pitch,
        source.window.outputs[1] * channels,
        arrays,
        frame=source.frame,
    )


def _source(numbers: Numbers, isa: ByteIsa, tiled: bool) -> Source:
    op = numbers.op
    depth = op.input.type.shape[-1]
    padded = padded_size(depth, isa.lanes)
    if isinstance(op, Dense):
        return Source(Window((1, prod(op.type.shape[:-1])), (1, 1), (1, 1), (0, 0, 0, 0)), padded)
    reach = [(size - 1) * dilation + 1 for size, dilation in zip(op.filter.type.shape[:2], op.dilations, strict=True)]
    window = Window.of(op.input.type.shape, reach, op.strides, op.padding)
    if isinstance(op, DepthwiseConv2d) or _is_pointwise(op) or (tiled and not any(op.padding)):
        return Source(window, padded)
    top, bottom, left, right = op.padding
    height, width = window.size
    pitch = padded if tiled else depth
    inside = replace(window, size=(top + height + bottom, left + width + right), padding=(0, 0, 0, 0))
    # Direct convolutions take a row more than the window reads: the last step of a row may read behind it.
    margins = (top, bottom + (not tiled), left * pitch, right * pitch)
    border = unsigned(numbers.source, numbers.source.zero_point)
    return Source(inside, pitch, ByteFrame(height, width * pitch, margins, border))


def _unsuitable(op: Conv2d | DepthwiseConv2d | Dense) -> str | None:
    if op.input.type.element.byte_width != 1 or op.type.element.byte_width != 1:
        return "its numbers have 16 bits"
    if isinstance(op, Conv2d) and op.dilations != (1, 1) and op.filter.type.shape[:2] != (1, 1):
        return "its window is dilated"
    if isinstance(op, DepthwiseConv2d) and op.filter.type.shape[3] != 1:
        return f"each of its channels has {op.filter.type.shape[3]} kernels"
    return None


def _is_pointwise(op: Conv2d) -> bool:
    return op.filter.type.shape[:2] == (1, 1) and op.strides == (1, 1) and not any(op.padding)


def _takes_tiles(isa: ByteIsa, numbers: Numbers, op: Conv2d | DepthwiseConv2d | Dense, rows: int | None) -> bool:
    """Whether AMX takes the layer, or so many `rows` of it: pixels fill tiles, and depths their rows."""
    if not isa.tiles or isinstance(op, DepthwiseConv2d | Dense) or len(byte_parts(isa, numbers.filter)) > 1:
        return False
    _, height, width, _ = op.type.shape
    if _is_pointwise(op):
        return (rows or height) * width >= FEWEST_PIXELS
    return op.input.type.shape[-1] >= FEWEST_DEPTHS and height >= 2 and width >= FEWEST_COLUMNS


def _padded(array: Array, channels: int) -> Array:
    """Zeros behind the last axis."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, channels - array.shape[-1])])


def _pointwise(
    isa: ByteIsa, numbers: Numbers, source: Source, finish: AnyFinish, channels: int, workgroups: int
) -> Made:
    rows, pitch = prod(source.window.outputs), source.pitch
    widest = 2 if 1 < rows <= FEW_ROWS else WIDEST
    block = choose_block(isa, rows, channels // isa.lanes, widest)
    parts = byte_parts(isa, numbers.filter.reshape(-1, numbers.filter.shape[-1]))
    kernel = BytePointwise(rows, pitch, channels, isa, block, finish, len(parts), workgroups)

    def weights() -> tuple[Array, Array]:
        matrix = np.pad(parts, [(0, 0), (0, pitch - parts.shape[1]), (0, channels - parts.shape[2])])
        return quads(isa, matrix, block.vectors * isa.lanes), _bias(isa, numbers, matrix, channels)

    return kernel, weights


def _bias(isa: ByteIsa, numbers: Numbers, matrix: Array, channels: int) -> Array:
    """That of products with stored bytes, as instructions take them; matrix [parts, K, channels]."""
    border = unsigned(numbers.source, numbers.source.zero_point) - _lowered(isa)
    moved: Array = border * matrix.astype(np.int64).sum(axis=(0, 1))
    return _padded(numbers.plain_bias, channels) - moved


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


def _tiles(numbers: Numbers, source: Source, finish: AnyFinish, order: Array, workgroups: int) -> Made:
    window, depth = source.window, source.pitch
    if window.kernel == (1, 1) == window.strides:
        window = replace(window, size=(1, prod(window.size)))
    kernel = ByteTiles(window, depth, len(order), prod(window.size) * depth, finish, workgroups)

    def weights() -> tuple[Array, Array]:
        taps = np.pad(
            numbers.filter,
            [(0, 0), (0, 0), (0, depth - numbers.filter.shape[2]), (0, len(order) - numbers.filter.shape[3])],
        )
        matrix = taps.reshape(taps.shape[0], -1, len(order))
        border = unsigned(numbers.source, numbers.source.zero_point)
        bias = _padded(numbers.plain_bias, len(order)) - border * matrix.astype(np.int64).sum(axis=(0, 1))
        return tile_weights(matrix, kernel.step), bias[order]

    return kernel, weights


def _convolution(
    isa: ByteIsa, numbers: Numbers, source: Source, finish: AnyFinish, channels: int, workgroups: int
) -> Made:
    window, depth = source.window, source.pitch
    block = choose_block(isa, window.outputs[1], channels // isa.lanes, 2)
    parts = byte_parts(isa, numbers.filter)
    bytes = (window.size[0] + 1) * window.size[1] * depth
    kernel = ByteConvolution(window, depth, channels, bytes, isa, block, finish, len(parts), workgroups)

    def weights() -> tuple[Array, Array]:
        matrix = _padded(window_quads(parts, kernel.steps), channels)
        return quads(isa, matrix, block.vectors * isa.lanes), _bias(isa, numbers, matrix, channels)

    return kernel, weights


def _depthwise(isa: ByteIsa, numbers: Numbers, source: Source, finish: AnyFinish, channels: int) -> Made:
    window = source.window
    border = unsigned(numbers.source, numbers.source.zero_point)
    strip = choose_strip(isa.registers // isa.split, window)
    parts = _padded(byte_parts(isa, numbers.filter[..., 0]), channels)
    down, across = numbers.op.dilations if isinstance(numbers.op, DepthwiseConv2d) else (1, 1)
    kernel = ByteDepthwise(window, channels, isa, strip, border, finish, len(parts), (down, across))

    def weights() -> tuple[Array, Array]:
        packed, sums = depthwise_cases(isa, window, parts, border - _lowered(isa), down)
        return packed, _padded(numbers.plain_bias, channels) - sums

    return kernel, weights
