"""Which layers of stored bytes have a kernel of scalar invocations, and what it is given."""

from __future__ import annotations

from math import prod
from typing import Any

from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.workshop import OwnLayer, Shop
from mnetdsl.backends.iree.layout import Packed
from mnetdsl.backends.iree.quantized.kernels.simt_conversions import SimtDequantize, SimtQuantize, first_numbers
from mnetdsl.backends.iree.quantized.kernels.simt_filter_layers import filter_layer
from mnetdsl.backends.iree.quantized.kernels.simt_layout import as_bytes
from mnetdsl.backends.iree.quantized.kernels.simt_maps import (
    SimtByteProduct,
    SimtByteSum,
    factor_numbers,
)
from mnetdsl.backends.iree.quantized.kernels.simt_pools import (
    SimtByteArgmax,
    SimtByteAverage,
    SimtByteLargest,
    SimtByteMean,
)
from mnetdsl.backends.iree.quantized.kernels.simt_shape_layers import box, concat, pad, reshape, resize
from mnetdsl.backends.iree.quantized.kernels.simt_shop import WIDE, is_bytes, looked_up, run, words
from mnetdsl.backends.iree.quantized.kernels.simt_softmax import SimtByteSoftmax
from mnetdsl.backends.iree.quantized.kernels.simt_words import result_numbers, words_of
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.tensors import reshaped
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.argmax import Argmax
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.ops.pool import AvgPool, GlobalAvgPool, MaxPool
from mnetdsl.ir.ops.quantize import Dequantize, Quantize, Requantize
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.ir.ops.unary import Clamp, UnaryOp
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics import conversions as numerics
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.mean import mean_factor
from mnetdsl.numerics.scales import product_factor, sum_factors
from mnetdsl.numerics.softmax import softmax_result, softmax_table
from mnetdsl.numerics.tables import all_stored, clamp_table, unary_table

MOST_GROUPS = 65535
"""Workgroups along one dimension of the grid, on every device."""


def binary(shop: Shop, op: Op) -> str | Unsuitable:
    """A sum, difference or product of two maps of one shape, or of a map and one pixel."""
    assert isinstance(op, Elementwise)
    if not is_bytes(op.left, op.right, op.result):
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


def tabled(shop: Shop, op: Op, source: Value, table: NDArray[Any]) -> str:
    """`op` as a table of what it makes of each byte of `source`."""
    name, found = looked_up(shop, source, table, f"{op.name}.packed")
    shop.scope.bind_packed(op.result, Packed(as_bytes(found), padded_size(op.type.shape[-1], BYTES)))
    return name


def lookup(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Lookup)
    if not is_bytes(op.input, op.result):
        return WIDE
    table = shop.scope.stored(op.table)
    if table is None:
        return Unsuitable("its table is computed")
    return tabled(shop, op, op.input, table)


def function(shop: Shop, op: Op) -> str | Unsuitable:
    """A unary function, or other bounds: tables that are made here."""
    assert isinstance(op, UnaryOp | Clamp)
    if not is_bytes(op.input, op.result):
        return WIDE
    source, result = grid(op.input.type), grid(op.type)
    if isinstance(op, Clamp):
        return tabled(shop, op, op.input, clamp_table(op.low, op.high, source, result))
    return tabled(shop, op, op.input, unary_table(op.opcode, source, result))


def requantize(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Requantize)
    if not is_bytes(op.input, op.result):
        return WIDE
    source, result = grid(op.input.type), grid(op.type)
    return tabled(shop, op, op.input, numerics.requantize(all_stored(source.dtype), source, result))


def global_avg_pool(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, GlobalAvgPool)
    if not is_bytes(op.input, op.result):
        return WIDE
    source, result = grid(op.input.type), grid(op.type)
    pixels = prod(op.input.type.shape[1:3])
    numbers = {"offset": pixels * source.zero_point} | factor_numbers("mean", mean_factor(pixels, source, result))
    numbers |= result_numbers(result, (result.low, result.high))
    kernel = SimtByteMean(source.dtype == "int8")
    return run(shop, op, kernel, [words(shop, op.input)], kernel.call(pixels, words_of(op.type.shape[-1]), numbers))


def window_pool(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, AvgPool | MaxPool)
    if not is_bytes(op.result):
        return WIDE
    _, height, width, channels = op.input.type.shape
    _, rows, columns, _ = op.type.shape
    kernel = (SimtByteAverage if isinstance(op, AvgPool) else SimtByteLargest)(op.type.element is ElementType.I8)
    numbers = (height, width, *op.kernel, *op.strides, op.padding[0], op.padding[2])
    return run(shop, op, kernel, [words(shop, op.input)], kernel.call(words_of(channels), (rows, columns), numbers))


def argmax(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Argmax)
    if not is_bytes(op.input):
        return WIDE
    *outer, channels = op.input.type.shape
    kernel = SimtByteArgmax(op.input.type.element is ElementType.I8)
    places = shop.executables.dispatch_sized(kernel, [words(shop, op.input)], kernel.call(prod(outer), channels))
    shop.scope.bind(op.result, reshaped(places, op.type.shape))
    return kernel.name


def softmax(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Softmax)
    if not is_bytes(op.input, op.result):
        return WIDE
    *outer, channels = op.type.shape
    rows = prod(outer)
    if rows > MOST_GROUPS:
        return Unsuitable(f"it has more than {MOST_GROUPS} rows")
    result = grid(op.type)
    computed = softmax_result(result.dtype)
    kernel = SimtByteSoftmax(op.input.type.element is ElementType.I8)
    # The shares are the computed grid's steps above its zero point, its lowest number.
    call = kernel.call(rows, channels, result_numbers(computed, (computed.low, computed.high)))
    powers = shop.scope.prepared(f"{op.name}.powers", softmax_table(grid(op.input.type)))
    name = run(shop, op, kernel, [words(shop, op.input), powers], call)
    if result != computed:
        table = numerics.requantize(all_stored(computed.dtype), computed, result)
        tabled(shop, op, op.result, table)
    return name


def quantize(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Quantize)
    if not is_bytes(op.result):
        return WIDE
    channels, result, kernel = op.type.shape[-1], grid(op.type), SimtQuantize()
    source = shop.scope.packed(op.input)
    firsts = shop.scope.prepared(f"{op.name}.firsts", first_numbers(result))
    call = kernel.call(prod(op.type.shape[:-1]), source.pitch, channels, result)
    return run(shop, op, kernel, [source.value, firsts], call)


def dequantize(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Dequantize)
    if not is_bytes(op.input):
        return WIDE
    channels, source = op.type.shape[-1], grid(op.input.type)
    kernel = SimtDequantize(source.dtype == "int8")
    call = kernel.call(prod(op.type.shape[:-1]), channels, source)
    result = shop.executables.dispatch_sized(kernel, [words(shop, op.input)], call)
    shop.scope.bind_packed(op.result, Packed(result, channels))
    return kernel.name


SIMT_BYTE_LAYERS: dict[str, OwnLayer] = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "dense"), filter_layer),
    **dict.fromkeys(("add", "sub", "mul"), binary),
    **dict.fromkeys(
        ("clamp", "relu", "relu6", "hard_sigmoid", "hard_swish", "sigmoid", "silu", "gelu", "tanh"), function
    ),
    "lookup": lookup,
    "requantize": requantize,
    "quantize": quantize,
    "dequantize": dequantize,
    "argmax": argmax,
    "softmax": softmax,
    "global_avg_pool": global_avg_pool,
    "avg_pool": window_pool,
    "max_pool": window_pool,
    "reshape": reshape,
    "pad": pad,
    "slice": box,
    "transpose": box,
    "concat": concat,
    "resize": resize,
}
"""By opcode. An operation that is missing here always takes linalg."""
