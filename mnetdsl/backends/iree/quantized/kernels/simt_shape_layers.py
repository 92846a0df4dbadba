"""Layers that move stored bytes, and resize, and the kernels of scalar invocations that they take."""

from __future__ import annotations

from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, flow
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.workshop import Shop
from mnetdsl.backends.iree.layout import Packed
from mnetdsl.backends.iree.quantized.kernels.simt_layout import as_bytes
from mnetdsl.backends.iree.quantized.kernels.simt_shapes import (
    AXES,
    SimtByteBilinear,
    SimtByteBox,
    SimtByteJoin,
    SimtByteNearest,
    SimtBytePad,
)
from mnetdsl.backends.iree.quantized.kernels.simt_shop import WIDE, is_bytes, looked_up, run, words
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.tensors import MlirValue, reshaped, tensor_type
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.ir.ops.shape import Concat, Pad, Slice, Transpose
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.clamps import stored_number
from mnetdsl.numerics.concat import joined
from mnetdsl.numerics.resize import FRACTION_BITS, fixed_positions, float_positions, nearest_positions
from mnetdsl.numerics.tables import all_stored


def reshape(shop: Shop, op: Op) -> str | Unsuitable:
    """Another name for the same bytes, without what pads their channels."""
    if not is_bytes(op.result):
        return WIDE
    (source,) = op.operands
    before, after = source.type.shape, op.type.shape
    if before[-1] == after[-1] or (before[-1] % BYTES == 0 and after[-1] % BYTES == 0):
        packed = shop.scope.packed(source, padded_size(before[-1], BYTES))
        shop.scope.bind_packed(op.result, Packed(packed.value, padded_size(after[-1], BYTES)))
    else:
        shop.scope.bind(op.result, reshaped(shop.scope.value(source), after))
    return "reshape"


def pad(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Pad)
    if not is_bytes(op.result):
        return WIDE
    numbers = grid(op.type)
    border = min(max(stored_number(numbers, op.value), numbers.low), numbers.high)
    _, height, width, channels = op.input.type.shape
    kernel = SimtBytePad()
    call = kernel.call((height, width), channels, op.padding, border)
    return run(shop, op, kernel, [words(shop, op.input)], call)


def box(shop: Shop, op: Op) -> str | Unsuitable:
    """A slice or a transposition."""
    assert isinstance(op, Slice | Transpose)
    if not is_bytes(op.result):
        return WIDE
    sizes = op.input.type.shape[1:]
    if len(sizes) > AXES:
        return Unsuitable(f"it has more than {AXES} axes")
    pitched = [*sizes[1:-1], padded_size(sizes[-1], BYTES)] if len(sizes) > 1 else []
    steps = [prod(pitched[axis:]) for axis in range(len(pitched))] + [1]
    offset = 0
    if isinstance(op, Transpose):
        steps = [steps[axis] for axis in op.order]
    else:
        offset = sum(begin * step for begin, step in zip(op.begin, steps, strict=True))
    kernel = SimtByteBox()
    return run(shop, op, kernel, [words(shop, op.input)], kernel.call(op.type.shape[1:], offset, steps))


def concat(shop: Shop, op: Op) -> str | Unsuitable:
    """Along the channels, or along the outermost axis that is not 1."""
    assert isinstance(op, Concat)
    if not is_bytes(op.result, *op.inputs):
        return WIDE
    shape = op.type.shape
    outermost = prod(shape[1 : op.axis]) == 1
    if op.axis != len(shape) - 1 and not outermost:
        return Unsuitable("it joins neither channels nor whole maps")
    operands = [_joined(shop, op, value, place) for place, value in enumerate(op.inputs)]
    if outermost:
        shop.scope.bind(op.result, _behind_each_other(shop, op, operands))
        return "copies"
    kernel, pixels = SimtByteJoin(), prod(shape[:-1])
    found, channels = operands[0], op.inputs[0].type.shape[-1]
    for operand, value in zip(operands[1:], op.inputs[1:], strict=True):
        call = kernel.call(pixels, channels, value.type.shape[-1])
        found = shop.executables.dispatch_sized(kernel, [found, operand], call)
        channels += value.type.shape[-1]
    shop.scope.bind_packed(op.result, Packed(as_bytes(found), padded_size(channels, BYTES)))
    return kernel.name


def _joined(shop: Shop, op: Concat, value: Value, place: int) -> MlirValue:
    """The words of an operand on the grid of the result."""
    source, result = grid(value.type), grid(op.type)
    if source == result:
        return words(shop, value)
    table: NDArray[Any] = joined(all_stored(source.dtype), source, result)
    return looked_up(shop, value, table, f"{op.name}.joined{place}")[1]


def _behind_each_other(shop: Shop, op: Concat, operands: list[MlirValue]) -> MlirValue:
    byte = mlir.IntegerType.get_signless(8)
    sizes = [prod(value.type.shape) for value in op.inputs]
    index = mlir.IndexType.get()
    room = flow.TensorEmptyOp(mlir.RankedTensorType.get([sum(sizes)], byte), []).result
    for start, size, operand, value in zip(accumulate([0, *sizes]), sizes, operands, op.inputs, strict=False):
        packed = Packed(as_bytes(operand), padded_size(value.type.shape[-1], BYTES))
        part = reshaped(shop.scope.layout.unpack(packed, value.type.shape), (size,))
        room = flow.TensorUpdateOp(room, [], [arith.constant(index, start)], part, []).result
    return reshaped(room, tuple(tensor_type(op.type).shape))


def resize(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Resize)
    if not is_bytes(op.result):
        return WIDE
    _, _, width, channels = op.input.type.shape
    signed = op.type.element is ElementType.I8
    kernel = SimtByteNearest() if op.method == "nearest" else SimtByteBilinear(signed)
    tables = [shop.scope.prepared(f"{op.name}.positions{axis}", _positions(op, axis)) for axis in (0, 1)]
    call = kernel.call((op.size[0], op.size[1]), width, channels)
    return run(shop, op, kernel, [words(shop, op.input), *tables], call)


def _positions(op: Resize, axis: int) -> NDArray[np.int32]:
    """The kernel's table of an axis."""
    sizes = op.input.type.shape[1 + axis], op.size[axis]
    corners, centers = op.align_corners, op.half_pixel_centers
    if op.method == "nearest":
        return nearest_positions(*sizes, align_corners=corners, half_pixel_centers=centers).astype(np.int32)
    fixed = op.type.element is ElementType.I8
    found = (fixed_positions if fixed else float_positions)(*sizes, align_corners=corners, half_pixel_centers=centers)
    one: np.generic = np.int64(1 << FRACTION_BITS) if fixed else np.float32(1)
    weights = np.stack([one - found.weight, found.weight])
    bits = weights.astype(np.int32) if fixed else weights.astype(np.float32).view(np.int32)
    return np.concatenate([np.stack([found.lower, found.upper]).astype(np.int32), bits])
