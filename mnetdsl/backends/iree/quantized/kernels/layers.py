"""Which layers of stored bytes have an own kernel, and what it is given; beside `kernels.layers`."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from mnetdsl.backends.iree.kernels.blocking import FEW_ROWS, WIDEST, choose_block
from mnetdsl.backends.iree.kernels.executables import Kernel
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.layout import Packed, raised
from mnetdsl.backends.iree.quantized.kernels.convolution import ByteConvolution, window_quads
from mnetdsl.backends.iree.quantized.kernels.depthwise import ByteDepthwise, choose_strip, depthwise_cases
from mnetdsl.backends.iree.quantized.kernels.finish import MOST_SHIFT, Finish, finish_table
from mnetdsl.backends.iree.quantized.kernels.pointwise import BytePointwise, quads
from mnetdsl.backends.iree.quantized.layer import Array, Numbers
from mnetdsl.backends.iree.tensors import MlirValue, padded, reshaped
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.ops.shape import Reshape
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.grid import Grid

HALF_RANGE = 128


def unsigned(grid: Grid, stored: int) -> int:
    """A stored number as an unsigned byte."""
    return stored + (HALF_RANGE if grid.dtype == "int8" else 0)


def byte_map(shop: Workshop, value: Value) -> Packed:
    """`value` flat, channels padded to whole vectors, as unsigned bytes."""
    packed = shop.scope.packed(value, padded_size(value.type.shape[-1], shop.isa.lanes))
    if packed.raised == (value.type.element is ElementType.I8):
        return packed
    made = raised(packed)
    shop.scope.bind_packed(value, made)
    return made


def run(shop: Workshop, op: Op, kernel: Kernel, arguments: list[MlirValue]) -> str:
    """Emits the layer and returns its kernel's name."""
    result, *_ = shop.executables.dispatch(kernel, arguments)
    width = padded_size(op.type.shape[-1], shop.isa.lanes)
    shop.scope.bind_packed(op.result, Packed(result, width, op.type.element is ElementType.I8))
    return kernel.name


def filter_layer(shop: Workshop, op: Op) -> str | Unsuitable:
    """A convolution or a dense layer."""
    assert isinstance(op, Conv2d | DepthwiseConv2d | Dense)
    reason = _unsuitable(shop, op)
    if reason is not None:
        return Unsuitable(reason)
    numbers = Numbers(shop.scope, op)
    if numbers.filter.min(initial=0) < -HALF_RANGE or numbers.filter.max(initial=0) >= HALF_RANGE:
        return Unsuitable("its weights less their zero point leave 8 bits")
    factors = _factors(numbers)
    if factors is None:
        return Unsuitable("some of its factors are 1/2 or more, or tiny")
    lanes = shop.isa.lanes
    channels = padded_size(op.type.shape[-1], lanes)
    low, high = activation_range(numbers.result, op.activation)
    finish = Finish(unsigned(numbers.result, low), unsigned(numbers.result, high), low < numbers.result.zero_point)
    multipliers, shifts = (np.pad(array, (0, channels - len(array)), constant_values=fill) for array, fill in factors)
    table = finish_table(multipliers, shifts, unsigned(numbers.result, numbers.result.zero_point), lanes)
    if isinstance(op, DepthwiseConv2d):
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


def _unsuitable(shop: Workshop, op: Conv2d | DepthwiseConv2d | Dense) -> str | None:
    if not shop.isa.dots:
        return "the target has no products of four bytes"
    if op.input.type.element.byte_width != 1 or op.type.element.byte_width != 1:
        return "its numbers have 16 bits"
    if not isinstance(op, Dense) and op.dilations != (1, 1):
        return "its window is dilated"
    if isinstance(op, DepthwiseConv2d) and op.filter.type.shape[3] != 1:
        return f"each of its channels has {op.filter.type.shape[3]} kernels"
    return None


def _is_pointwise(op: Conv2d) -> bool:
    return op.filter.type.shape[:2] == (1, 1) and op.strides == (1, 1) and not any(op.padding)


def _factors(numbers: Numbers) -> tuple[tuple[Array, int], tuple[Array, int]] | None:
    """Multipliers and shifts, and what fills them up; None where `Finish` cannot take one.

    A factor with which no sum leaves the zero point is 0.
    """
    multipliers, shifts = (np.array(array) for array in numbers.factors)
    largest = numbers.magnitude.astype(np.float64)
    vanishing = largest * multipliers * np.exp2(shifts - 31.0) < 0.49
    multipliers[vanishing], shifts[vanishing] = 0, -1
    multipliers[multipliers == 0], shifts[multipliers == 0] = 0, -1
    if (shifts > -1).any() or (shifts < -MOST_SHIFT).any():
        return None
    return (multipliers, 0), (shifts, -1)


def _padded(array: Array, channels: int) -> Array:
    """Zeros behind the last axis."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, channels - array.shape[-1])])


Parts = tuple[Kernel, MlirValue, Array, Array]
"""The kernel, its map, its weights and its bias."""


def _pointwise(shop: Workshop, numbers: Numbers, finish: Finish, channels: int) -> Parts:
    op, isa = numbers.op, shop.isa
    source = byte_map(shop, op.input)
    rows = prod(op.type.shape[:-1])
    widest = 2 if 1 < rows <= FEW_ROWS else WIDEST
    block = choose_block(isa, rows, channels // isa.lanes, widest)
    kernel = BytePointwise(rows, source.pitch, channels, isa.lanes, block, finish)
    matrix = numbers.filter.reshape(-1, op.type.shape[-1]).astype(np.int8)
    matrix = np.pad(matrix, [(0, source.pitch - len(matrix)), (0, channels - matrix.shape[1])])
    border = unsigned(numbers.source, numbers.source.zero_point)
    bias = _padded(numbers.plain_bias, channels) - border * matrix.astype(np.int64).sum(axis=0)
    return kernel, source.value, quads(matrix, block.vectors * isa.lanes), bias


def _convolution(shop: Workshop, numbers: Numbers, op: Conv2d, finish: Finish, channels: int) -> Parts:
    isa = shop.isa
    top, bottom, left, right = op.padding
    depth = op.input.type.shape[-1]
    border = unsigned(numbers.source, numbers.source.zero_point)
    unpadded = raised_tensor(shop, op.input)
    # A row more than the window reads: the last step of a row may read behind it.
    map = padded(unpadded, (top, bottom + 1, left, right), border - 256 if border > 127 else border)
    _, height, width, _ = op.input.type.shape
    size = (top + height + bottom, left + width + right)
    window = Window.of((1, *size, depth), op.filter.type.shape, op.strides, (0, 0, 0, 0))
    bytes = (size[0] + 1) * size[1] * depth
    block = choose_block(isa, window.outputs[1], channels // isa.lanes, 2)
    kernel = ByteConvolution(window, depth, channels, bytes, isa.lanes, block, finish)
    matrix = _padded(window_quads(numbers.filter.astype(np.int8), kernel.steps), channels)
    bias = _padded(numbers.plain_bias, channels) - border * matrix.astype(np.int64).sum(axis=0)
    return kernel, reshaped(map, (bytes,)), quads(matrix, block.vectors * isa.lanes), bias


def raised_tensor(shop: Workshop, value: Value) -> MlirValue:
    """A map [1, H, W, C] as unsigned bytes, without padded channels."""
    packed = shop.scope.packed(value, value.type.shape[-1])
    if packed.raised != (value.type.element is ElementType.I8):
        packed = raised(packed)
    return reshaped(packed.value, value.type.shape)


def _depthwise(shop: Workshop, numbers: Numbers, op: DepthwiseConv2d, finish: Finish, channels: int) -> Parts:
    isa = shop.isa
    source = byte_map(shop, op.input)
    kernel_size = op.filter.type.shape[:2]
    window = Window.of(op.input.type.shape, kernel_size, op.strides, op.padding)
    border = unsigned(numbers.source, numbers.source.zero_point)
    strip = choose_strip(isa.registers, window)
    kernel = ByteDepthwise(window, channels, isa.lanes, strip, border, finish)
    filter = _padded(numbers.filter[..., 0], channels)
    weights, sums = depthwise_cases(window, filter, border)
    return kernel, source.value, weights, _padded(numbers.plain_bias, channels) - sums


def lookup(shop: Workshop, op: Op) -> str | Unsuitable:
    """A table that leaves every byte as it is, such as that of a u8 image stored as i8: another name for the bytes."""
    assert isinstance(op, Lookup)
    table = shop.scope.stored(op.table)
    if table is None or table.shape != (256,) or op.input.type.element.byte_width != 1:
        return Unsuitable("only tables that change nothing have an own kernel")
    before = np.arange(256, dtype=np.uint8) ^ np.uint8(HALF_RANGE if op.input.type.element is ElementType.I8 else 0)
    after = table.view(np.uint8) ^ np.uint8(HALF_RANGE if op.type.element is ElementType.I8 else 0)
    if not np.array_equal(before, after):
        return Unsuitable("only tables that change nothing have an own kernel")
    source = shop.scope.packed(op.input, op.input.type.shape[-1])
    if source.raised != (op.input.type.element is ElementType.I8):
        return Unsuitable("its input is stored otherwise")
    shop.scope.bind_packed(op.result, Packed(source.value, source.pitch, op.type.element is ElementType.I8))
    return "same_bytes"


def reshape(shop: Workshop, op: Op) -> str | Unsuitable:
    """Another name for the same bytes, where no padding comes between them."""
    assert isinstance(op, Reshape)
    if op.type.element.byte_width != 1:
        return Unsuitable("its numbers have 16 bits")
    before, after = op.input.type.shape, op.type.shape
    if before[-1] != after[-1] and (before[-1] % shop.isa.lanes or after[-1] % shop.isa.lanes):
        return Unsuitable("it moves channels that are stored with padding")
    source = byte_map(shop, op.input)
    shop.scope.bind_packed(op.result, Packed(source.value, padded_size(after[-1], shop.isa.lanes), source.raised))
    return "reshape"


ByteLayer = Callable[[Workshop, Op], str | Unsuitable]

BYTE_LAYERS: dict[str, ByteLayer] = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "dense"), filter_layer),
    "lookup": lookup,
    "reshape": reshape,
}
"""By opcode. An operation that is missing here always takes linalg."""
