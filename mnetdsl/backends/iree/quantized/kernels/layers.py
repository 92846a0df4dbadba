"""Which layers of stored bytes have an own kernel, and what it is given; beside `kernels.layers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from mnetdsl.backends.iree.kernels.blocking import FEW_ROWS, WIDEST, choose_block
from mnetdsl.backends.iree.kernels.executables import Kernel
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.isa import ByteIsa, Isa
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.layout import Packed, raised
from mnetdsl.backends.iree.quantized.kernels.channels import ByteMean, ByteProduct
from mnetdsl.backends.iree.quantized.kernels.convolution import ByteConvolution, window_quads
from mnetdsl.backends.iree.quantized.kernels.depthwise import ByteDepthwise, choose_strip, depthwise_cases
from mnetdsl.backends.iree.quantized.kernels.finish import MOST_SHIFT, Finish, finish_table
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish, float_table
from mnetdsl.backends.iree.quantized.kernels.pointwise import BytePointwise, quads
from mnetdsl.backends.iree.quantized.kernels.proof import MeanSteps, Steps, prove
from mnetdsl.backends.iree.quantized.kernels.sums import ByteSum, find_form
from mnetdsl.backends.iree.quantized.kernels.tables import ByteTable, table_rows
from mnetdsl.backends.iree.quantized.layer import Array, Numbers
from mnetdsl.backends.iree.tensors import MlirValue, padded, reshaped
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.ops.pool import AvgPool, GlobalAvgPool
from mnetdsl.ir.ops.shape import Reshape
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics import elementwise as numerics
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.mean import mean_factor
from mnetdsl.numerics.scales import product_factor

HALF_RANGE = 128


def byte_isa(shop: Workshop) -> ByteIsa:
    assert shop.isa.bytes is not None
    return shop.isa.bytes


def unsigned(grid: Grid, stored: int) -> int:
    """A stored number as an unsigned byte."""
    return stored + (HALF_RANGE if grid.dtype == "int8" else 0)


def signed(grid: Grid, stored: int) -> int:
    """A stored number as a signed byte."""
    return unsigned(grid, stored) - HALF_RANGE


def byte_map(shop: Workshop, value: Value) -> Packed:
    """`value` flat, channels padded to whole vectors, as unsigned bytes."""
    packed = shop.scope.packed(value, padded_size(value.type.shape[-1], byte_isa(shop).lanes))
    if packed.raised == (value.type.element is ElementType.I8):
        return packed
    made = raised(packed)
    shop.scope.bind_packed(value, made)
    return made


def run(shop: Workshop, op: Op, kernel: Kernel, arguments: list[MlirValue]) -> str:
    """Emits the layer and returns its kernel's name."""
    result, *_ = shop.executables.dispatch(kernel, arguments)
    width = padded_size(op.type.shape[-1], byte_isa(shop).lanes)
    shop.scope.bind_packed(op.result, Packed(result, width, op.type.element is ElementType.I8))
    return kernel.name


def filter_layer(shop: Workshop, op: Op) -> str | Unsuitable:
    """A convolution or a dense layer."""
    assert isinstance(op, Conv2d | DepthwiseConv2d | Dense)
    reason = _unsuitable(op)
    if reason is not None:
        return Unsuitable(reason)
    numbers = Numbers(shop.scope, op)
    lanes = byte_isa(shop).lanes
    channels = padded_size(op.type.shape[-1], lanes)
    finished = _float_finish(numbers, channels, lanes) or _finish(numbers, channels, lanes)
    if finished is None:
        return Unsuitable("some of its factors are 1/2 or more, or tiny")
    finish, table = finished
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


def _float_finish(numbers: Numbers, channels: int, lanes: int) -> tuple[FloatFinish, Array] | None:
    """In float32, where that is proven to give the same bits."""
    bounds = activation_range(numbers.result, numbers.op.activation)
    return float_finish(numbers.result, bounds, numbers.factors, numbers.reach, channels, lanes)


def float_finish(
    result: Grid,
    bounds: tuple[int, int],
    factors: tuple[Array, Array],
    reach: tuple[Array, Array],
    channels: int,
    lanes: int,
) -> tuple[FloatFinish, Array] | None:
    """For sums `reach` (smallest and largest) of each channel, factors (multipliers and shifts) and clamps."""
    low, high, zero_point = (signed(result, number) for number in (*bounds, result.zero_point))
    steps = Steps(*factors, zero_point, low, high, *reach, low >= zero_point)
    return proven_finish(steps, channels, lanes)


def proven_finish(steps: Steps, channels: int, lanes: int) -> tuple[FloatFinish, Array] | None:
    """Counted from the middle of the bytes where `steps` may be, or from the zero point."""
    for each in (steps, replace(steps, centered=False)):
        proven = prove(each)
        if proven is not None:
            zero_point = 0 if each.centered else each.zero_point
            finish = FloatFinish(each.low, each.high, zero_point, each.centered, len(proven.sums))
            return finish, float_table(proven, channels, lanes)
    return None


def uniform_finish(
    result: Grid, bounds: tuple[int, int], factor: tuple[int, int], reach: tuple[int, int], lanes: int
) -> tuple[FloatFinish, Array] | None:
    """As `float_finish`, one factor for all channels; the table is that of one vector."""
    multiplier, shift, least, most = (np.full(lanes, number, np.int64) for number in (*factor, *reach))
    return float_finish(result, bounds, (multiplier, shift), (least, most), lanes, lanes)


def _finish(numbers: Numbers, channels: int, lanes: int) -> tuple[Finish, Array] | None:
    """In fixed point; None where `Finish` cannot take a factor. One with which no sum leaves the zero point is 0."""
    multipliers, shifts = (np.array(array) for array in numbers.factors)
    largest = np.maximum(-numbers.reach[0], numbers.reach[1]).astype(np.float64)
    vanishing = (multipliers == 0) | (largest * multipliers * np.exp2(shifts - 31.0) < 0.49)
    multipliers[vanishing], shifts[vanishing] = 0, -1
    if (shifts > -1).any() or (shifts < -MOST_SHIFT).any():
        return None
    multipliers = np.pad(multipliers, (0, channels - len(multipliers)))
    shifts = np.pad(shifts, (0, channels - len(shifts)), constant_values=-1)
    low, high = (unsigned(numbers.result, bound) for bound in activation_range(numbers.result, numbers.op.activation))
    zero_point = unsigned(numbers.result, numbers.result.zero_point)
    return Finish(low, high, low < zero_point), finish_table(multipliers, shifts, zero_point, lanes)


def _padded(array: Array, channels: int) -> Array:
    """Zeros behind the last axis."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, channels - array.shape[-1])])


Parts = tuple[Kernel, MlirValue, Array, Array]
"""The kernel, its map, its weights and its bias."""


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


def _lowered(isa: ByteIsa) -> int:
    """What instructions take from stored bytes."""
    return HALF_RANGE if isa.signed else 0


def byte_parts(isa: ByteIsa, filter: Array) -> Array:
    """[parts, …] int16: the filter, or two filters that add up to it where its numbers have 9 bits and operands 8."""
    if isa.wide:
        return filter[None]
    first = np.clip(filter, -HALF_RANGE, HALF_RANGE - 1)
    parts = [first] if np.array_equal(first, filter) else [first, filter - first]
    return np.stack(parts)


def _convolution(shop: Workshop, numbers: Numbers, op: Conv2d, finish: Finish | FloatFinish, channels: int) -> Parts:
    isa = byte_isa(shop)
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
    parts = byte_parts(isa, numbers.filter)
    kernel = ByteConvolution(window, depth, channels, bytes, isa, block, finish, len(parts))
    matrix = _padded(window_quads(parts, kernel.steps), channels)
    moved = (border - _lowered(isa)) * matrix.astype(np.int64).sum(axis=(0, 1))
    bias = _padded(numbers.plain_bias, channels) - moved
    return kernel, reshaped(map, (bytes,)), quads(isa, matrix, block.vectors * isa.lanes), bias


def raised_tensor(shop: Workshop, value: Value) -> MlirValue:
    """A map [1, H, W, C] as unsigned bytes, without padded channels."""
    packed = shop.scope.packed(value, value.type.shape[-1])
    if packed.raised != (value.type.element is ElementType.I8):
        packed = raised(packed)
    return reshaped(packed.value, value.type.shape)


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


def lookup(shop: Workshop, op: Op) -> str | Unsuitable:
    """A table; one that changes nothing, such as that of a u8 image stored as i8, is another name for the bytes."""
    assert isinstance(op, Lookup)
    stored = shop.scope.stored(op.table)
    if stored is None or stored.shape != (256,) or op.input.type.element.byte_width != 1 or stored.itemsize != 1:
        return Unsuitable("its table is not one of 256 bytes")
    flip = np.uint8(HALF_RANGE)
    table = stored.view(np.uint8) ^ (flip if op.type.element is ElementType.I8 else np.uint8(0))
    if op.input.type.element is ElementType.I8:
        table = np.roll(table, HALF_RANGE)
    if np.array_equal(table, np.arange(256)):
        source = shop.scope.packed(op.input, op.input.type.shape[-1])
        if source.raised == (op.input.type.element is ElementType.I8):
            shop.scope.bind_packed(op.result, Packed(source.value, source.pitch, op.type.element is ElementType.I8))
            return "same_bytes"
    source = byte_map(shop, op.input)
    size = prod(op.type.shape[:-1]) * source.pitch
    constant = shop.scope.prepared(f"{op.name}.packed", table_rows(byte_isa(shop), table.view(np.int8)))
    return run(shop, op, ByteTable(size, byte_isa(shop)), [source.value, constant])


def add(shop: Workshop, op: Op) -> str | Unsuitable:
    """The sum of two maps of one shape."""
    assert isinstance(op, Elementwise)
    reason = _not_bytes(op)
    if reason is not None:
        return Unsuitable(reason)
    if op.left.type.shape != op.type.shape or op.right.type.shape != op.type.shape:
        return Unsuitable("it spreads sizes of 1")
    grids = left, right = grid(op.left.type), grid(op.right.type)
    result = grid(op.type)
    bytes = np.arange(256, dtype=np.uint8)
    operands = [(bytes ^ np.uint8(HALF_RANGE)).view(np.int8) if each.dtype == "int8" else bytes for each in grids]
    sums = numerics.add(operands[0][:, None], operands[1][None, :], grids, result, op.activation)
    expected = sums.astype(np.int64) - (0 if result.dtype == "int8" else HALF_RANGE)
    scales = left.scale / result.scale, right.scale / result.scale
    zeros = unsigned(left, left.zero_point) * scales[0] + unsigned(right, right.zero_point) * scales[1]
    low, high = (signed(result, bound) for bound in activation_range(result, op.activation))
    form = find_form(expected, scales, signed(result, result.zero_point) - zeros, (low, high))
    if form is None:
        return Unsuitable("float32 is not exact for all pairs of its bytes")
    maps = [byte_map(shop, value) for value in (op.left, op.right)]
    size = prod(op.type.shape[:-1]) * maps[0].pitch
    return run(shop, op, ByteSum(size, byte_isa(shop).lanes, form), [map.value for map in maps])


def mul(shop: Workshop, op: Op) -> str | Unsuitable:
    """The product of two maps of one shape, or of a map and one pixel of gates."""
    assert isinstance(op, Elementwise)
    reason = _not_bytes(op)
    if reason is not None:
        return Unsuitable(reason)
    map, other = (op.left, op.right) if op.left.type.shape == op.type.shape else (op.right, op.left)
    gates = other.type.shape[-1] == op.type.shape[-1] and prod(other.type.shape) == other.type.shape[-1]
    if map.type.shape != op.type.shape or not (other.type.shape == op.type.shape or gates):
        return Unsuitable("it spreads sizes of 1 in another way than over all pixels")
    first, second, result = grid(map.type), grid(other.type), grid(op.type)
    ends = [a * b for a in (first.lowest, first.highest) for b in (second.lowest, second.highest)]
    factor = product_factor(grid(op.left.type), grid(op.right.type), result)
    bounds = activation_range(result, op.activation)
    finished = uniform_finish(result, bounds, factor, (min(ends), max(ends)), byte_isa(shop).lanes)
    if finished is None:
        return Unsuitable("float32 is not exact for all products of its bytes")
    finish, table = finished
    pixels = prod(op.type.shape[:-1])
    left, right = byte_map(shop, map), byte_map(shop, other)
    zeros = unsigned(first, first.zero_point), unsigned(second, second.zero_point)
    kernel = ByteProduct(pixels, left.pitch, byte_isa(shop).lanes, gates and pixels > 1, zeros, finish)
    return run(shop, op, kernel, [left.value, right.value, shop.scope.prepared(f"{op.name}.packed_finish", table)])


def global_avg_pool(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, GlobalAvgPool)
    reason = _not_bytes(op)
    if reason is not None:
        return Unsuitable(reason)
    source, result = grid(op.input.type), grid(op.type)
    pixels = prod(op.input.type.shape[1:3])
    reach = source.lowest * pixels, source.highest * pixels
    factor = mean_factor(pixels, source, result)
    finished = uniform_finish(result, (result.low, result.high), factor, reach, byte_isa(shop).lanes)
    if finished is None:
        return Unsuitable("float32 is not exact for all of its sums")
    finish, table = finished
    map = byte_map(shop, op.input)
    kernel = ByteMean(pixels, map.pitch, byte_isa(shop).lanes, unsigned(source, source.zero_point), finish)
    return run(shop, op, kernel, [map.value, shop.scope.prepared(f"{op.name}.packed_finish", table)])


def avg_pool(shop: Workshop, op: Op) -> str | Unsuitable:
    """The mean of a whole map, which stays on its grid."""
    assert isinstance(op, AvgPool)
    reason = _not_bytes(op)
    if reason is not None:
        return Unsuitable(reason)
    if op.kernel != op.input.type.shape[1:3] or any(op.padding):
        return Unsuitable("its window is not the whole map")
    own, lanes = grid(op.type), byte_isa(shop).lanes
    pixels = prod(op.kernel)
    # Halves go away from the stored 0, whatever real number it stands for.
    low, high, zero = (signed(own, number) for number in (own.low, own.high, 0))
    least, most = (np.full(lanes, number * pixels, np.int64) for number in (own.low, own.high))
    steps = MeanSteps(most, most, zero, low, high, least, most, low >= zero, pixels)
    finished = proven_finish(steps, lanes, lanes)
    if finished is None:
        return Unsuitable("float32 is not exact for all of its sums")
    finish, table = finished
    map = byte_map(shop, op.input)
    kernel = ByteMean(pixels, map.pitch, lanes, unsigned(own, 0), finish)
    return run(shop, op, kernel, [map.value, shop.scope.prepared(f"{op.name}.packed_finish", table)])


def _not_bytes(op: Op) -> str | None:
    if any(value.type.element.byte_width != 1 for value in (*op.operands, op.result)):
        return "its numbers have 16 bits"
    return None


def reshape(shop: Workshop, op: Op) -> str | Unsuitable:
    """Another name for the same bytes, where no padding comes between them."""
    assert isinstance(op, Reshape)
    if op.type.element.byte_width != 1:
        return Unsuitable("its numbers have 16 bits")
    before, after = op.input.type.shape, op.type.shape
    if before[-1] != after[-1] and (before[-1] % byte_isa(shop).lanes or after[-1] % byte_isa(shop).lanes):
        return Unsuitable("it moves channels that are stored with padding")
    source = byte_map(shop, op.input)
    shop.scope.bind_packed(op.result, Packed(source.value, padded_size(after[-1], byte_isa(shop).lanes), source.raised))
    return "reshape"


ByteLayer = Callable[[Workshop, Op], str | Unsuitable]

BYTE_LAYERS: dict[str, ByteLayer] = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "dense"), filter_layer),
    "add": add,
    "mul": mul,
    "global_avg_pool": global_avg_pool,
    "avg_pool": avg_pool,
    "lookup": lookup,
    "reshape": reshape,
}
"""By opcode. An operation that is missing here always takes linalg."""


def byte_layers(isa: Isa) -> dict[str, ByteLayer]:
    """`BYTE_LAYERS` where the target has their instructions."""
    return BYTE_LAYERS if isa.bytes is not None else dict.fromkeys(BYTE_LAYERS, _without_products)


def _without_products(shop: Workshop, op: Op) -> Unsuitable:
    return Unsuitable("the target has no products of bytes")
