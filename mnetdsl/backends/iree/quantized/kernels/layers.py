"""Which layers of stored bytes have an own kernel, and what it is given; beside `kernels.layers`."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.kernels.workshop import OwnLayer
from mnetdsl.backends.iree.layout import Packed
from mnetdsl.backends.iree.quantized.kernels.channels import ByteMean, ByteProduct
from mnetdsl.backends.iree.quantized.kernels.filters import filter_layer
from mnetdsl.backends.iree.quantized.kernels.finish import Finish
from mnetdsl.backends.iree.quantized.kernels.finishes import proven_finish, uniform_finish
from mnetdsl.backends.iree.quantized.kernels.fixed_sums import ByteFixedSum, FixedForm, fixed_form
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish
from mnetdsl.backends.iree.quantized.kernels.made import ByteLayer, ByteWork, alone, flat, pixelwise
from mnetdsl.backends.iree.quantized.kernels.maps import HALF_RANGE, byte_isa, signed, unsigned
from mnetdsl.backends.iree.quantized.kernels.proof import MeanSteps
from mnetdsl.backends.iree.quantized.kernels.reading_layers import (
    argmax,
    dequantize,
    max_pool,
    quantize,
    resize,
    softmax,
)
from mnetdsl.backends.iree.quantized.kernels.shape_layers import box, concat, pad, requantize, reshape
from mnetdsl.backends.iree.quantized.kernels.sums import ByteSum, SumForm, find_form
from mnetdsl.backends.iree.quantized.kernels.tables import ByteTable, table_rows
from mnetdsl.backends.iree.quantized.layer import Array
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.ops.pool import AvgPool, GlobalAvgPool
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics import elementwise as numerics
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.mean import mean_factor
from mnetdsl.numerics.scales import product_factor, sum_factors


def lookup(shop: Workshop, op: Op) -> str | Unsuitable:
    """A table, or one a channel; one that changes nothing, such as that of a u8 image stored as i8, is another name for
    the bytes."""
    tables = _tables(shop, op)
    if tables is not None and (tables == np.arange(256)).all():
        source = shop.scope.packed(op.operands[0], op.type.shape[-1])
        if source.raised == (op.operands[0].type.element is ElementType.I8):
            shop.scope.bind_packed(op.result, Packed(source.value, source.pitch, op.type.element is ElementType.I8))
            return "same_bytes"
    return alone(table)(shop, op)


def _tables(shop: Workshop, op: Op) -> Array | None:
    """[tables, 256], unsigned bytes by unsigned bytes; None where they are not of bytes."""
    assert isinstance(op, Lookup)
    stored = shop.scope.stored(op.table)
    if stored is None or op.input.type.element.byte_width != 1 or stored.itemsize != 1:
        return None
    flip = np.uint8(HALF_RANGE)
    tables = stored.view(np.uint8) ^ (flip if op.type.element is ElementType.I8 else np.uint8(0))
    if op.input.type.element is ElementType.I8:
        tables = np.roll(tables, HALF_RANGE, axis=-1)
    return tables.reshape(-1, 256)


def table(shop: Workshop, op: Op, rows: int | None = None) -> ByteLayer | Unsuitable:
    assert isinstance(op, Lookup)
    isa, tables = byte_isa(shop), _tables(shop, op)
    if tables is None:
        return Unsuitable("its table is not one of 256 bytes")
    if (tables == tables[0]).all():
        tables = tables[:1]
    depth = op.type.shape[-1]
    narrow = depth < isa.lanes and prod(op.type.shape[:-1]) * depth % isa.lanes == 0
    pitch = depth if narrow else padded_size(depth, isa.lanes)
    window, maps, row = pixelwise(shop, op, (op.input,), pitch)
    kernel = ByteTable((rows or window.outputs[0]) * row, isa, len(tables), _few(rows))
    if len(tables) > 1 and (not narrow or kernel.size < kernel.round):
        return Unsuitable("its channels have tables of their own")

    # A row of it is no whole number of vectors, or too short for the tables of all channels.
    whole = row % isa.lanes == 0 and (len(tables) == 1 or row >= kernel.round)

    def arrays() -> list[tuple[str, Array]]:
        return [("packed", np.concatenate([table_rows(isa, each.view(np.int8)).reshape(-1) for each in tables]))]

    return ByteLayer(op, kernel, window, (op.input,), maps, row, row, arrays, joins=whole)


def add(shop: Workshop, op: Op, rows: int | None = None) -> ByteLayer | Unsuitable:
    """The sum or difference of two maps of one shape."""
    assert isinstance(op, Elementwise)
    reason = _not_bytes(op)
    if reason is not None:
        return Unsuitable(reason)
    if op.left.type.shape != op.type.shape or op.right.type.shape != op.type.shape:
        return Unsuitable("it spreads sizes of 1")
    form = shop.once(op, lambda: _sum_form(op))
    window, maps, row = pixelwise(shop, op, (op.left, op.right))
    size, lanes = (rows or window.outputs[0]) * row, byte_isa(shop).lanes
    inputs = op.left, op.right
    if form is not None:
        kernel = ByteSum(size, lanes, form, _few(rows))
        return ByteLayer(op, kernel, window, inputs, maps, row, row, list, by_rows=2)
    fixed, factors = _fixed_sum(op, lanes)
    arrays = [("packed_factors", factors)]
    exact = ByteFixedSum(size, lanes, fixed, _few(rows))
    return ByteLayer(op, exact, window, inputs, maps, row, row, lambda: arrays, by_rows=2)


def _sum_form(op: Elementwise) -> SumForm | None:
    grids = left, right = grid(op.left.type), grid(op.right.type)
    result = grid(op.type)
    bytes = np.arange(256, dtype=np.uint8)
    operands = [(bytes ^ np.uint8(HALF_RANGE)).view(np.int8) if each.dtype == "int8" else bytes for each in grids]
    total, sign = (numerics.sub, -1.0) if op.opcode == "sub" else (numerics.add, 1.0)
    sums = total(operands[0][:, None], operands[1][None, :], grids, result, op.activation)
    expected = sums.astype(np.int64) - (0 if result.dtype == "int8" else HALF_RANGE)
    scales = left.scale / result.scale, sign * right.scale / result.scale
    zeros = unsigned(left, left.zero_point) * scales[0] + unsigned(right, right.zero_point) * scales[1]
    low, high = (signed(result, bound) for bound in activation_range(result, op.activation))
    return find_form(expected, scales, signed(result, result.zero_point) - zeros, (low, high))


def _fixed_sum(op: Elementwise, lanes: int) -> tuple[FixedForm, Array]:
    left, right, result = grid(op.left.type), grid(op.right.type), grid(op.type)
    low, high = (unsigned(result, bound) for bound in activation_range(result, op.activation))
    ends = (low, high), unsigned(result, result.zero_point)
    zeros = unsigned(left, left.zero_point), unsigned(right, right.zero_point)
    return fixed_form(sum_factors(left, right, result), zeros, ends, lanes, minus=op.opcode == "sub")


def mul(shop: Workshop, op: Op, rows: int | None = None) -> ByteLayer | Unsuitable:
    """The product of two maps of one shape, or of a map and one pixel of gates."""
    assert isinstance(op, Elementwise)
    reason = _not_bytes(op)
    if reason is not None:
        return Unsuitable(reason)
    map, other = (op.left, op.right) if op.left.type.shape == op.type.shape else (op.right, op.left)
    gates = other.type.shape[-1] == op.type.shape[-1] and prod(other.type.shape) == other.type.shape[-1]
    if map.type.shape != op.type.shape or not (other.type.shape == op.type.shape or gates):
        return Unsuitable("it spreads sizes of 1 in another way than over all pixels")
    lanes = byte_isa(shop).lanes
    first, second, result = grid(map.type), grid(other.type), grid(op.type)
    ends = [a * b for a in (first.lowest, first.highest) for b in (second.lowest, second.highest)]
    factor = product_factor(grid(op.left.type), grid(op.right.type), result)
    bounds = activation_range(result, op.activation)
    finish, factors = shop.once(op, lambda: uniform_finish(result, bounds, factor, (min(ends), max(ends)), lanes))
    window, maps, row = pixelwise(shop, op, (map, other))
    zeros = unsigned(first, first.zero_point), unsigned(second, second.zero_point)
    pixels = (rows or window.outputs[0]) * window.outputs[1]
    per_channel = gates and prod(op.type.shape[:-1]) > 1
    kernel = ByteProduct(pixels, row // window.outputs[1], lanes, per_channel, zeros, finish, _few(rows))
    arrays = [("packed_finish", factors)]
    return ByteLayer(op, kernel, window, (map, other), maps, row, row, lambda: arrays, 1 if per_channel else 2)


def global_avg_pool(shop: Workshop, op: Op, rows: int | None = None) -> ByteLayer | Unsuitable:
    assert isinstance(op, GlobalAvgPool)
    reason = _not_bytes(op)
    if reason is not None:
        return Unsuitable(reason)
    source, result = grid(op.input.type), grid(op.type)
    pixels = prod(op.input.type.shape[1:3])
    reach = source.lowest * pixels, source.highest * pixels
    factor = mean_factor(pixels, source, result)
    lanes = byte_isa(shop).lanes
    finished = shop.once(op, lambda: uniform_finish(result, (result.low, result.high), factor, reach, lanes))
    return _mean(shop, op, finished, unsigned(source, source.zero_point), rows)


def avg_pool(shop: Workshop, op: Op, rows: int | None = None) -> ByteLayer | Unsuitable:
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
    finished = shop.once(op, lambda: proven_finish(steps, np.arange(lanes), lanes))
    return _mean(shop, op, finished, unsigned(own, 0), rows)


def _mean(
    shop: Workshop,
    op: GlobalAvgPool | AvgPool,
    finished: tuple[Finish | FloatFinish, Array] | None,
    zero: int,
    rows: int | None,
) -> ByteLayer | Unsuitable:
    if finished is None:
        return Unsuitable("float32 is not exact for all of its sums")
    finish, factors = finished
    _, height, width, channels = op.input.type.shape
    isa = byte_isa(shop)
    pitch = padded_size(channels, isa.lanes)
    kernel = ByteMean(height * width, pitch, isa.lanes, zero, finish, _few(rows))
    window = Window((height, width), (height, width), (1, 1), (0, 0, 0, 0))
    arrays = [("packed_finish", factors)]
    return ByteLayer(
        op,
        kernel,
        window,
        (op.input,),
        [partial(flat, shop, op.input, pitch)],
        width * pitch,
        pitch,
        lambda: arrays,
    )


def _few(rows: int | None) -> int:
    """Workgroups."""
    return 4 if rows is None else 1


def _not_bytes(op: Op) -> str | None:
    if any(value.type.element.byte_width != 1 for value in (*op.operands, op.result)):
        return "its numbers have 16 bits"
    return None


BYTE_WORKS: dict[str, ByteWork] = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "dense"), filter_layer),
    "add": add,
    "sub": add,
    "mul": mul,
    "global_avg_pool": global_avg_pool,
    "avg_pool": avg_pool,
    "lookup": table,
}
"""By opcode. These may be joined."""

BYTE_LAYERS: dict[str, OwnLayer] = {
    **{opcode: alone(work) for opcode, work in BYTE_WORKS.items()},
    "lookup": lookup,
    "reshape": reshape,
    "pad": pad,
    "slice": box,
    "transpose": box,
    "concat": concat,
    "requantize": requantize,
    "resize": resize,
    "max_pool": max_pool,
    "argmax": argmax,
    "softmax": softmax,
    "quantize": quantize,
    "dequantize": dequantize,
}
"""By opcode. An operation that is missing here always takes linalg."""


def byte_layers(isa: Isa) -> dict[str, OwnLayer]:
    """`BYTE_LAYERS` where the target has their instructions."""
    return BYTE_LAYERS if isa.bytes is not None else dict.fromkeys(BYTE_LAYERS, _without_products)


def _without_products(shop: Workshop, op: Op) -> Unsuitable:
    return Unsuitable("the target has no products of bytes")
