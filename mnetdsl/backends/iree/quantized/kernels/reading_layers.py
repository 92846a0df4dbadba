"""Layers on stored bytes that neither sum nor move them, and what their kernels are given: resize, pools of largest
numbers, argmax, softmax, conversions."""

from __future__ import annotations

from math import prod

import numpy as np

from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.layout import Packed, stored_as
from mnetdsl.backends.iree.quantized.kernels.conversions import ByteDequantize, ByteQuantize
from mnetdsl.backends.iree.quantized.kernels.maps import byte_isa, byte_map, unsigned
from mnetdsl.backends.iree.quantized.kernels.readings import ByteArgmax, ByteMaxPool, ByteSoftmax
from mnetdsl.backends.iree.quantized.kernels.resizes import ByteResize
from mnetdsl.backends.iree.quantized.kernels.shape_layers import WIDE, are_bytes, bind, unsigned_table
from mnetdsl.backends.iree.quantized.layer import Array
from mnetdsl.backends.iree.tensors import reshaped
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.argmax import Argmax
from mnetdsl.ir.ops.pool import MaxPool
from mnetdsl.ir.ops.quantize import Dequantize, Quantize
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.conversions import requantize
from mnetdsl.numerics.resize import FRACTION_BITS, fixed_positions, float_positions, nearest_positions
from mnetdsl.numerics.softmax import softmax_result, softmax_table
from mnetdsl.numerics.tables import all_stored

METHODS = {ElementType.I8: "signed", ElementType.U8: "unsigned"}


def resize(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Resize)
    if not are_bytes(op.result):
        return WIDE
    source = byte_map(shop, op.input)
    method = "nearest" if op.method == "nearest" else METHODS[op.type.element]
    _, height, width, _ = op.input.type.shape
    kernel = ByteResize(method, (height, width), (op.size[0], op.size[1]), source.pitch, byte_isa(shop).lanes)
    tables = [shop.scope.prepared(f"{op.name}.positions{axis}", _positions(op, method, axis)) for axis in (0, 1)]
    (result,) = shop.executables.dispatch(kernel, [source.value, *tables])
    bind(shop, op.result, result, source.pitch)
    return kernel.name


def _positions(op: Resize, method: str, axis: int) -> Array:
    """The kernel's table of an axis."""
    sizes = op.input.type.shape[1 + axis], op.size[axis]
    corners, centers = op.align_corners, op.half_pixel_centers
    if method == "nearest":
        return nearest_positions(*sizes, align_corners=corners, half_pixel_centers=centers).astype(np.int32)
    find = fixed_positions if method == "signed" else float_positions
    found = find(*sizes, align_corners=corners, half_pixel_centers=centers)
    if method == "signed":
        weights = np.stack([(1 << FRACTION_BITS) - found.weight, found.weight]).astype(np.int32)
    else:
        weights = np.stack([np.float32(1) - found.weight, found.weight]).astype(np.float32).view(np.int32)
    return np.concatenate([np.stack([found.lower, found.upper]).astype(np.int32), weights])


def argmax(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Argmax)
    if not are_bytes(op.input):
        return WIDE
    source, isa = byte_map(shop, op.input), byte_isa(shop)
    kernel = ByteArgmax(prod(op.type.shape), source.pitch, op.input.type.shape[-1], isa.lanes)
    (result,) = shop.executables.dispatch(kernel, [source.value])
    shop.scope.bind(op.result, reshaped(result, op.type.shape))
    return kernel.name


def max_pool(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, MaxPool)
    if not are_bytes(op.result):
        return WIDE
    source, isa = byte_map(shop, op.input), byte_isa(shop)
    window = Window.of(op.input.type.shape, op.kernel, op.strides, op.padding)
    kernel = ByteMaxPool(window, source.pitch, isa.lanes)
    (result,) = shop.executables.dispatch(kernel, [source.value])
    bind(shop, op.result, result, source.pitch)
    return kernel.name


def softmax(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Softmax)
    if not are_bytes(op.input, op.result):
        return WIDE
    source, result = byte_map(shop, op.input), grid(op.type)
    computed = softmax_result(result.dtype)
    shares = all_stored("uint8") if computed.dtype == "uint8" else np.arange(-128, 128).astype(np.int8)
    stored = unsigned_table(requantize(shares, computed, result), "uint8", result.dtype)
    if result == computed:
        stored = all_stored("uint8")
    kernel = ByteSoftmax(prod(op.type.shape[:-1]), source.pitch, op.type.shape[-1])
    arrays: dict[str, Array] = {"powers": softmax_table(grid(op.input.type)), "shares": stored.view(np.int8)}
    tables = [shop.scope.prepared(f"{op.name}.packed_{name}", array) for name, array in arrays.items()]
    (made,) = shop.executables.dispatch(kernel, [source.value, *tables])
    bind(shop, op.result, made, source.pitch)
    return kernel.name


def dequantize(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Dequantize)
    if not are_bytes(op.input):
        return WIDE
    source, numbers = byte_map(shop, op.input), grid(op.input.type)
    size = prod(op.type.shape[:-1]) * source.pitch
    zero = unsigned(numbers, numbers.zero_point)
    kernel = ByteDequantize(size, byte_isa(shop).lanes, zero, float(numbers.single))
    (result,) = shop.executables.dispatch(kernel, [source.value])
    shop.scope.bind_packed(op.result, Packed(result, source.pitch))
    return kernel.name


def quantize(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Quantize)
    if not are_bytes(op.result):
        return WIDE
    numbers, isa = grid(op.type), byte_isa(shop)
    pitch = padded_size(op.type.shape[-1], isa.lanes)
    source = stored_as(shop.scope.packed(op.input, pitch), "f32")
    size = prod(op.type.shape[:-1]) * pitch
    kernel = ByteQuantize(size, isa.lanes, unsigned(numbers, numbers.zero_point), float(numbers.single))
    (result,) = shop.executables.dispatch(kernel, [source.value])
    bind(shop, op.result, result, pitch)
    return kernel.name
