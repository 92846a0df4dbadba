"""Which layers of stored bytes have a kernel of scalar invocations, and what it is given."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.executables import Call, Sized
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.simt.pointwise import FEW_ROWS
from mnetdsl.backends.iree.kernels.workshop import OwnLayer, Shop
from mnetdsl.backends.iree.layout import Packed
from mnetdsl.backends.iree.quantized.kernels.simt_filters import channel_words, weight_words
from mnetdsl.backends.iree.quantized.kernels.simt_layout import as_bytes, as_words
from mnetdsl.backends.iree.quantized.kernels.simt_maps import (
    SimtByteLookup,
    SimtByteProduct,
    SimtByteSum,
    factor_numbers,
)
from mnetdsl.backends.iree.quantized.kernels.simt_pointwise import DEPTH, TILE, SimtBytePointwise, SimtByteRows
from mnetdsl.backends.iree.quantized.kernels.simt_pools import SimtByteMean
from mnetdsl.backends.iree.quantized.kernels.simt_window import (
    SimtByteConvolution,
    SimtByteDepthwise,
    SimtByteMultiplied,
    Sliding,
)
from mnetdsl.backends.iree.quantized.kernels.simt_words import Factors, result_numbers, table_words, words_of
from mnetdsl.backends.iree.quantized.layer import Numbers
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.quantized.simt import fits_byte
from mnetdsl.backends.iree.tensors import MlirValue, reshaped
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.ops.pool import GlobalAvgPool
from mnetdsl.ir.ops.quantize import Requantize
from mnetdsl.ir.ops.unary import Clamp, UnaryOp
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.mean import mean_factor
from mnetdsl.numerics.requantization import multiply_by_quantized_multiplier, quantize_multiplier
from mnetdsl.numerics.rounding import saturate
from mnetdsl.numerics.scales import product_factor, sum_factors
from mnetdsl.numerics.tables import all_stored, clamp_table, unary_table

WIDE = Unsuitable("its numbers have 16 bits")


def words(shop: Shop, value: Value) -> MlirValue:
    """`value` flat, channels padded to words."""
    return as_words(shop.scope.packed(value, padded_size(value.type.shape[-1], BYTES)).value)


def run(shop: Shop, op: Op, kernel: Sized, arguments: list[MlirValue], call: Call) -> str:
    """Emits the layer and returns its kernel's name."""
    result = shop.executables.dispatch_sized(kernel, arguments, call)
    shop.scope.bind_packed(op.result, Packed(as_bytes(result), padded_size(op.type.shape[-1], BYTES)))
    return kernel.name


def filter_layer(shop: Shop, op: Op) -> str | Unsuitable:
    """A convolution or a dense layer."""
    assert isinstance(op, Conv2d | DepthwiseConv2d | Dense)
    if not _is_bytes(op.input, op.result):
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


def _is_bytes(*values: Value) -> bool:
    return all(value.type.element.byte_width == 1 for value in values)


def binary(shop: Shop, op: Op) -> str | Unsuitable:
    """A sum, difference or product of two maps of one shape, or of a map and one pixel."""
    assert isinstance(op, Elementwise)
    if not _is_bytes(op.left, op.right, op.result):
        return WIDE
    left, right, shape = op.left, op.right, op.type.shape
    if left.type.shape != shape and op.opcode != "sub":
        left, right = right, left
    pixel = right.type.shape[-1] == shape[-1] == prod(right.type.shape)
    if left.type.shape != shape or not (right.type.shape == shape or pixel):
        return Unsuitable("it spreads sizes of 1 in another way than over all pixels")
    first, second, result = grid(left.type), grid(right.type), grid(op.type)
    numbers = {"left_zero": first.zero_point, "right_zero": second.zero_point}
    numbers |= result_numbers(result, activation_range(result, op.activation))
    variant = (first.dtype == "int8", second.dtype == "int8"), right.type.shape != shape
    kernel: SimtByteProduct | SimtByteSum
    if op.opcode == "mul":
        numbers |= factor_numbers("product", product_factor(grid(op.left.type), grid(op.right.type), result))
        kernel = SimtByteProduct(*variant)
    else:
        factors = sum_factors(first, second, result)
        numbers |= {"headroom": factors.headroom}
        for name, factor in (("left", factors.left), ("right", factors.right), ("sum", factors.result)):
            numbers |= factor_numbers(name, factor)
        kernel = SimtByteSum(*variant, difference=op.opcode == "sub")
    across = words_of(shape[-1])
    call = kernel.call(prod(shape[:-1]) * across, across, numbers)
    return run(shop, op, kernel, [words(shop, left), words(shop, right)], call)


def looked_up(shop: Shop, op: Op, source: Value, table: NDArray[Any]) -> str:
    """`op` as a table [256] or [channels, 256] of what it makes of each byte."""
    channels = op.type.shape[-1]
    across = words_of(channels)
    if table.ndim == 2:
        table = np.pad(table, [(0, across * BYTES - channels), (0, 0)])
    kernel = SimtByteLookup(table.ndim == 2)
    entries = shop.scope.prepared(f"{op.name}.packed", table_words(table))
    call = kernel.call(prod(op.type.shape[:-1]) * across, across)
    return run(shop, op, kernel, [words(shop, source), entries], call)


def lookup(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Lookup)
    if not _is_bytes(op.input, op.result):
        return WIDE
    table = shop.scope.stored(op.table)
    if table is None:
        return Unsuitable("its table is computed")
    return looked_up(shop, op, op.input, table)


def function(shop: Shop, op: Op) -> str | Unsuitable:
    """A unary function, or other bounds: tables that are made here."""
    assert isinstance(op, UnaryOp | Clamp)
    if not _is_bytes(op.input, op.result):
        return WIDE
    source, result = grid(op.input.type), grid(op.type)
    if isinstance(op, Clamp):
        return looked_up(shop, op, op.input, clamp_table(op.low, op.high, source, result))
    return looked_up(shop, op, op.input, unary_table(op.opcode, source, result))


def requantize(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Requantize)
    if not _is_bytes(op.input, op.result):
        return WIDE
    source, result = grid(op.input.type), grid(op.type)
    q = all_stored(source.dtype).astype(np.int32) - source.zero_point
    steps = multiply_by_quantized_multiplier(q, *quantize_multiplier(source.scale / result.scale))
    table = saturate(steps + result.zero_point, result.low, result.high, result.dtype)
    return looked_up(shop, op, op.input, table)


def global_avg_pool(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, GlobalAvgPool)
    if not _is_bytes(op.input, op.result):
        return WIDE
    source, result = grid(op.input.type), grid(op.type)
    pixels = prod(op.input.type.shape[1:3])
    numbers = {"offset": pixels * source.zero_point} | factor_numbers("mean", mean_factor(pixels, source, result))
    numbers |= result_numbers(result, (result.low, result.high))
    kernel = SimtByteMean(source.dtype == "int8")
    return run(shop, op, kernel, [words(shop, op.input)], kernel.call(pixels, words_of(op.type.shape[-1]), numbers))


def reshape(shop: Shop, op: Op) -> str | Unsuitable:
    """Another name for the same bytes, without what pads their channels."""
    if not _is_bytes(op.result):
        return WIDE
    (source,) = op.operands
    before, after = source.type.shape, op.type.shape
    if before[-1] == after[-1] or (before[-1] % BYTES == 0 and after[-1] % BYTES == 0):
        packed = shop.scope.packed(source, padded_size(before[-1], BYTES))
        shop.scope.bind_packed(op.result, Packed(packed.value, padded_size(after[-1], BYTES)))
    else:
        shop.scope.bind(op.result, reshaped(shop.scope.value(source), after))
    return "reshape"


SIMT_BYTE_LAYERS: dict[str, OwnLayer] = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "dense"), filter_layer),
    **dict.fromkeys(("add", "sub", "mul"), binary),
    **dict.fromkeys(
        ("clamp", "relu", "relu6", "hard_sigmoid", "hard_swish", "sigmoid", "silu", "gelu", "tanh"), function
    ),
    "lookup": lookup,
    "requantize": requantize,
    "global_avg_pool": global_avg_pool,
    "reshape": reshape,
}
"""By opcode. An operation that is missing here always takes linalg."""
