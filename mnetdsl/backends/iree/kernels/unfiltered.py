"""Layers without a filter: products of maps, reductions along channels, windows, sizes and shapes.

Their kernels are of float32: maps that are stored as bfloat16 are widened on the way in.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mnetdsl.backends.iree.kernels.blocking import FEW_ROWS, WIDEST, choose_block
from mnetdsl.backends.iree.kernels.channels import Clamp as ClampKernel
from mnetdsl.backends.iree.kernels.executables import Kernel
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.kernels.layers import elementwise as plain_elementwise
from mnetdsl.backends.iree.kernels.matmul import PackRight
from mnetdsl.backends.iree.kernels.moves import Concat as ConcatKernel
from mnetdsl.backends.iree.kernels.moves import Gather
from mnetdsl.backends.iree.kernels.moves import Pad as PadKernel
from mnetdsl.backends.iree.kernels.normalize import Normalize as NormalizeKernel
from mnetdsl.backends.iree.kernels.normalize import choose_quotient
from mnetdsl.backends.iree.kernels.packing import pad_last
from mnetdsl.backends.iree.kernels.pointwise import Pointwise
from mnetdsl.backends.iree.kernels.pools import Pool as PoolKernel
from mnetdsl.backends.iree.kernels.resize import Bilinear, Nearest
from mnetdsl.backends.iree.kernels.rows import Argmax as ArgmaxKernel
from mnetdsl.backends.iree.kernels.rows import LayerNorm as LayerNormKernel
from mnetdsl.backends.iree.kernels.rows import Softmax as SoftmaxKernel
from mnetdsl.backends.iree.kernels.spread import BatchNorm as BatchNormKernel
from mnetdsl.backends.iree.kernels.spread import Spread
from mnetdsl.backends.iree.kernels.storage import F32
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.kernels.workshop import OwnLayer
from mnetdsl.backends.iree.kernels.workshop import reshape as same_bytes
from mnetdsl.backends.iree.layout import Packed, stored_as
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.argmax import Argmax
from mnetdsl.ir.ops.batch_norm import BatchNorm
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.layer_norm import LayerNorm
from mnetdsl.ir.ops.matmul import Matmul
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.ir.ops.pool import Pool
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.ir.ops.unary import Clamp
from mnetdsl.ir.types import ElementType, Shape
from mnetdsl.numerics.resize import float_positions, nearest_positions


def matmul(shop: Workshop, op: Op) -> str | Unsuitable:
    """A product whose weights are the right factor, packed by a kernel before it."""
    assert isinstance(op, Matmul)
    (_, rows, depth), columns, channels = op.left.type.shape, op.type.shape[2], shop.width(op.result)
    lanes = shop.isa.lanes
    block = choose_block(shop.isa, rows, channels // lanes, 2 if 1 < rows <= FEW_ROWS else WIDEST)
    product = Pointwise(rows, depth, channels, shop.width(op.left), lanes, block)
    pitch, transposed = shop.width(op.right), op.transpose == "right"
    pack = PackRight(depth, columns, channels, pitch, lanes, block.vectors, transposed, op.scale)
    (panels,) = shop.executables.dispatch(pack, [_floats(shop, op.right)])
    bias = shop.scope.prepared(f"{op.name}.packed_bias", np.zeros(channels, np.float32))
    return shop.run(op, product, [_floats(shop, op.left), panels, bias])


def softmax(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Softmax)
    kernel = SoftmaxKernel(prod(op.type.shape[:-1]), op.type.shape[-1], shop.width(op.result), shop.isa.lanes)
    return shop.run(op, kernel, [_floats(shop, op.input)])


def layer_norm(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, LayerNorm)
    width = shop.width(op.result)
    parameters = _parameters(shop, op, {"scale": op.scale, "offset": op.offset})
    if parameters is None:
        return Unsuitable("its scale or offset is computed, not a constant")
    kernel = LayerNormKernel(prod(op.type.shape[:-1]), op.type.shape[-1], width, shop.isa.lanes, op.epsilon)
    return shop.run(op, kernel, [_floats(shop, op.input), *parameters])


def batch_norm(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, BatchNorm)
    scale, variance = shop.scope.array(op.scale), shop.scope.array(op.variance)
    others = _parameters(shop, op, {"mean": op.mean, "offset": op.offset})
    if scale is None or variance is None or others is None:
        return Unsuitable("its statistics are computed, not constants")
    width = shop.width(op.result)
    gain = (scale / np.sqrt(variance.astype(np.float64) + op.epsilon)).astype(np.float32)
    mean, offset = others
    kernel = BatchNormKernel(prod(op.type.shape[:-1]), width, shop.isa.lanes)
    packed = shop.scope.prepared(f"{op.name}.packed_gain", pad_last(gain, width))
    return shop.run(op, kernel, [_floats(shop, op.input), mean, packed, offset])


def argmax(shop: Workshop, op: Op) -> str | Unsuitable:
    """Integers, which nothing pads."""
    assert isinstance(op, Argmax)
    shape = op.input.type.shape
    kernel = ArgmaxKernel(prod(shape[:-1]), shape[-1], shop.width(op.input), shop.isa.lanes)
    (result,) = shop.executables.dispatch(kernel, [_floats(shop, op.input)])
    shop.scope.bind_packed(op.result, Packed(result, op.type.shape[-1]))
    return kernel.name


def normalize(shop: Workshop, op: Op) -> str | Unsuitable:
    """The map as the first layer reads it: its pixels one behind the other."""
    assert isinstance(op, Normalize)
    channels, element = op.type.shape[-1], op.input.type.element
    mean, std = ((values[0],) if len(set(values)) == 1 else values for values in (op.mean, op.std))
    kernel = NormalizeKernel(
        prod(op.type.shape),
        F32 if element.is_float else f"i{8 * element.byte_width}",
        element is not ElementType.U8,
        mean,
        std,
        choose_quotient(mean, std) if element.byte_width == 1 else "division",
        shop.isa.lanes,
    )
    (result,) = shop.executables.dispatch(kernel, [shop.scope.packed(op.input, channels).value])
    shop.scope.bind_packed(op.result, Packed(result, channels))
    return kernel.name


def pool(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Pool)
    window = Window.of(op.input.type.shape, op.kernel, op.strides, op.padding)
    kernel = PoolKernel(op.opcode, window, shop.width(op.result), shop.isa.lanes)
    return shop.run(op, kernel, [_floats(shop, op.input)])


def resize(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Resize)
    _, height, width, _ = op.input.type.shape
    maps = ((height, width), (op.size[0], op.size[1]), shop.width(op.result), shop.isa.lanes)
    options = {"align_corners": op.align_corners, "half_pixel_centers": op.half_pixel_centers}
    axes = list(zip(*maps[:2], strict=True))
    tables: dict[str, Any] = {}
    kernel: Kernel
    if op.method == "nearest":
        kernel = Nearest(*maps)
        for axis, sizes in enumerate(axes):
            tables[f"positions.{axis}"] = nearest_positions(*sizes, **options).astype(np.int32)
    else:
        kernel = Bilinear(*maps)
        found = [float_positions(*sizes, **options) for sizes in axes]
        for axis, each in enumerate(found):
            tables[f"positions.{axis}"] = np.stack([each.lower, each.upper], axis=-1).astype(np.int32)
        for axis, each in enumerate(found):
            weights = [np.float32(1) - each.weight, each.weight]
            tables[f"weights.{axis}"] = np.stack(weights, axis=-1).astype(np.float32)
    made = [shop.scope.prepared(f"{op.name}.{name}", table) for name, table in tables.items()]
    return shop.run(op, kernel, [_floats(shop, op.input), *made])


def concat(shop: Workshop, op: Op) -> str | Unsuitable:
    """Along channels pixel by pixel, else by blocks of whole rows."""
    assert isinstance(op, Concat)
    pitch = shop.width(op.result)
    blocks = prod(op.type.shape[: op.axis])
    shapes = [value.type.shape for value in op.inputs]
    if op.axis == len(op.type.shape) - 1:
        parts = [(shape[-1], shop.width(value)) for shape, value in zip(shapes, op.inputs, strict=True)]
    else:
        parts = [(prod(shape[op.axis : -1]) * pitch,) * 2 for shape in shapes]
        pitch = sum(size for size, _ in parts)
    kernel = ConcatKernel(blocks, tuple(parts), pitch, shop.isa.lanes)
    return shop.run(op, kernel, [_floats(shop, value) for value in op.inputs])


def pad(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Pad)
    _, height, width, _ = op.input.type.shape
    top, bottom, left, right = op.padding
    kernel = PadKernel((height, width), (top, bottom, left, right), shop.width(op.result), shop.isa.lanes, op.value)
    return shop.run(op, kernel, [_floats(shop, op.input)])


def slice_(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Slice)
    strides = _strides(op.input.type.shape, shop.width(op.input))
    base = sum(start * stride for start, stride in zip(op.begin, strides, strict=True))
    return _gathered(shop, op, op.input, strides, base)


def transpose(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Transpose)
    strides = _strides(op.input.type.shape, shop.width(op.input))
    return _gathered(shop, op, op.input, tuple(strides[axis] for axis in op.order), 0)


def reshape(shop: Workshop, op: Op) -> str | Unsuitable:
    """Another name for the same bytes; where padding comes between them, by way of rows without any."""
    assert isinstance(op, Reshape)
    taken = same_bytes(shop, op)
    if not isinstance(taken, Unsuitable):
        return taken
    before, after, lanes = op.input.type.shape, op.type.shape, shop.isa.lanes
    pitch, source = shop.width(op.input), _floats(shop, op.input)
    size, channels = prod(before), before[-1]
    if pitch != channels:
        close = Gather((size // channels, channels), (pitch, 1), 0, size // channels * pitch, channels, lanes)
        (source,) = shop.executables.dispatch(close, [source])
    channels = after[-1]
    return shop.run(
        op, Gather((size // channels, channels), (channels, 1), 0, size, shop.width(op.result), lanes), [source]
    )


def elementwise(shop: Workshop, op: Op) -> str | Unsuitable:
    """Sums, differences and products, sizes of 1 being spread in any way."""
    assert isinstance(op, Elementwise)
    taken = plain_elementwise(shop, op)
    if not isinstance(taken, Unsuitable):
        return taken
    operands = (op.left, op.right)
    strides = [
        tuple(
            stride if size > 1 or whole == 1 else 0
            for stride, size, whole in zip(
                _strides(value.type.shape, shop.width(value)), value.type.shape[1:], op.type.shape[1:], strict=True
            )
        )
        for value in operands
    ]
    kernel = Spread(
        op.opcode,
        op.type.shape[1:],
        (strides[0], strides[1]),
        (_held(shop, op.left), _held(shop, op.right)),
        shop.width(op.result),
        shop.isa.lanes,
        op.activation,
    )
    return shop.run(op, kernel, [_floats(shop, value) for value in operands])


def clamp(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Clamp)
    kernel = ClampKernel(_held(shop, op.result), shop.isa.lanes, op.low, op.high)
    return shop.run(op, kernel, [_floats(shop, op.input)])


def _gathered(shop: Workshop, op: Op, source: Value, strides: Shape, base: int) -> str:
    kernel = Gather(op.type.shape[1:], strides, base, _held(shop, source), shop.width(op.result), shop.isa.lanes)
    return shop.run(op, kernel, [_floats(shop, source)])


def _strides(shape: Shape, pitch: int) -> Shape:
    """Elements from one to the next along each axis, the batch left out, with `pitch` elements a row."""
    sizes = (*shape[1:-1], pitch)
    return tuple(prod(sizes[axis + 1 :]) for axis in range(len(sizes)))


def _held(shop: Workshop, value: Value) -> int:
    """Elements in memory."""
    return prod(value.type.shape[:-1]) * shop.width(value)


def _floats(shop: Workshop, value: Value) -> MlirValue:
    """`value` flat, its channels padded as layers do, in float32."""
    return stored_as(shop.scope.packed(value, shop.width(value)), F32).value


def _parameters(shop: Workshop, op: Op, values: dict[str, Value]) -> list[MlirValue] | None:
    """Constants of a channel each, padded by 0; None where one is computed."""
    arrays = {name: shop.scope.array(value) for name, value in values.items()}
    width = shop.width(op.result)
    made = [
        shop.scope.prepared(f"{op.name}.packed_{name}", pad_last(array, width))
        for name, array in arrays.items()
        if array is not None
    ]
    return made if len(made) == len(values) else None


UNFILTERED_LAYERS: dict[str, OwnLayer] = {
    "matmul": matmul,
    "softmax": softmax,
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "argmax": argmax,
    "normalize": normalize,
    "max_pool": pool,
    "avg_pool": pool,
    "resize": resize,
    "concat": concat,
    "pad": pad,
    "slice": slice_,
    "transpose": transpose,
    "reshape": reshape,
    "add": elementwise,
    "sub": elementwise,
    "mul": elementwise,
    "clamp": clamp,
}
"""By opcode, before `layers.OWN_LAYERS`."""
