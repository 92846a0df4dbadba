"""What each operation is in ONNX, on real numbers: quantized ones lie between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto

from mnetdsl.exporters.onnx.writer import FIRST, LAST, Writer, channels_first
from mnetdsl.exporters.problems import NotInFormatError
from mnetdsl.ir.ops.argmax import Argmax
from mnetdsl.ir.ops.batch_norm import BatchNorm
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.layer_norm import LayerNorm
from mnetdsl.ir.ops.matmul import Matmul
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.ir.ops.pool import GlobalAvgPool, Pool
from mnetdsl.ir.ops.quantize import Dequantize, Quantize, Requantize
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.ir.ops.unary import Clamp, UnaryOp
from mnetdsl.ir.types import Quantization, Shape

UNARY = ("relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "silu", "gelu", "tanh")

Rule = Callable[[Any, Writer], str]


def normalize(op: Normalize, writer: Writer) -> str:
    x = writer.node("Cast", writer.names[op.input], to=TensorProto.FLOAT)
    x = writer.node("Sub", x, writer.array(np.array(op.mean, np.float32)))
    x = writer.node("Div", x, writer.array(np.array(op.std, np.float32)))
    return writer.node("Transpose", x, perm=list(FIRST))


# Layers with weights


def convolution(op: Conv2d | DepthwiseConv2d, writer: Writer) -> str:
    weights = writer.arrays[op.filter]
    if isinstance(op, Conv2d):
        filters, groups = weights.transpose(3, 2, 0, 1), 1
    else:
        height, width, channels, multiplier = weights.shape
        filters = weights.reshape(height, width, 1, channels * multiplier).transpose(3, 2, 0, 1)
        groups = channels
    top, bottom, left, right = op.padding
    x = writer.node(
        "Conv",
        writer.operand(op.input),
        writer.constant(filters, writer.constant_name(op.filter), _scales(op, 0, writer)),
        *_bias(op, writer),
        group=groups,
        kernel_shape=list(weights.shape[:2]),
        strides=list(op.strides),
        dilations=list(op.dilations),
        pads=[top, left, bottom, right],
    )
    x = writer.activated(op.activation, x)
    if isinstance(op, Conv2d) and op.residual is not None:
        x = writer.node("Add", x, writer.operand(op.residual))
    return x


def dense(op: Dense, writer: Writer) -> str:
    name = writer.constant_name(op.filter)
    filters = writer.constant(writer.arrays[op.filter], name, _scales(op, 1, writer))
    return writer.activated(op.activation, writer.node("Gemm", writer.operand(op.input), filters, *_bias(op, writer)))


def _scales(op: Conv2d | DepthwiseConv2d | Dense, axis: int, writer: Writer) -> Quantization | None:
    if op.filter_scale is None:
        return None
    scales = writer.arrays[op.filter_scale].tolist()
    point = 0 if op.filter_zero_point is None else int(writer.arrays[op.filter_zero_point][0])
    return Quantization(tuple(scales), (point,) * len(scales), axis if len(scales) > 1 else None)


def _bias(op: Conv2d | DepthwiseConv2d | Dense, writer: Writer) -> tuple[str, ...]:
    if op.bias is None:
        return ()
    name, array, scales = writer.constant_name(op.bias), writer.arrays[op.bias], _scales(op, 0, writer)
    if scales is None:
        return (writer.array(array, name),)
    source = op.input.type.quantization
    assert source is not None
    products = np.float32(source.scale[0]) * np.array(scales.scale, np.float32)
    if array.dtype != np.int32:  # ONNX has no DequantizeLinear of int64
        return (writer.array((array * products.astype(np.float64)).astype(np.float32), name),)
    found = Quantization(tuple(products.tolist()), (0,) * products.size, scales.axis)
    return (writer.constant(array, name, found),)


def batch_norm(op: BatchNorm, writer: Writer) -> str:
    operands = [writer.array(writer.arrays[value]) for value in (op.scale, op.offset, op.mean, op.variance)]
    return writer.node("BatchNormalization", writer.operand(op.input), *operands, epsilon=op.epsilon)


# Functions and sums


def unary(op: UnaryOp, writer: Writer) -> str:
    return writer.activated(op.opcode, writer.operand(op.input))


def clamp(op: Clamp, writer: Writer) -> str:
    return writer.node("Clip", writer.operand(op.input), writer.number(op.low), writer.number(op.high))


def elementwise(op: Elementwise, writer: Writer) -> str:
    kind = op.opcode.capitalize()
    return writer.activated(op.activation, writer.node(kind, writer.operand(op.left), writer.operand(op.right)))


def matmul(op: Matmul, writer: Writer) -> str:
    right = writer.operand(op.right)
    if op.transpose == "right":
        right = writer.node("Transpose", right, perm=[0, 2, 1])
    product = writer.node("MatMul", writer.operand(op.left), right)
    return product if op.scale == 1.0 else writer.node("Mul", product, writer.number(op.scale))


def softmax(op: Softmax, writer: Writer) -> str:
    return writer.node("Softmax", writer.operand(op.input), axis=1 if op.type.rank == 4 else op.type.rank - 1)


# Pools


def pool(op: Pool, writer: Writer) -> str:
    top, bottom, left, right = op.padding
    return writer.node(
        "MaxPool" if op.opcode == "max_pool" else "AveragePool",
        writer.operand(op.input),
        kernel_shape=list(op.kernel),
        strides=list(op.strides),
        pads=[top, left, bottom, right],
    )


def global_avg_pool(op: GlobalAvgPool, writer: Writer) -> str:
    return writer.node("Flatten", writer.node("GlobalAveragePool", writer.operand(op.input)))


# Moves


def reshape(op: Reshape, writer: Writer) -> str:
    """A map's numbers are in our order only as [N, H, W, C]; of one pixel or one channel both orders are the same."""
    x = writer.operand(op.input)
    if _turned(op.input.type.shape):
        x = writer.node("Transpose", x, perm=list(LAST))
    if not _turned(op.type.shape):
        return writer.node("Reshape", x, writer.integers(channels_first(op.type.shape)))
    x = writer.node("Reshape", x, writer.integers(op.type.shape))
    return writer.node("Transpose", x, perm=list(FIRST))


def _turned(shape: Shape) -> bool:
    return len(shape) == 4 and shape[3] > 1 and shape[1] * shape[2] > 1


def transpose(op: Transpose, writer: Writer) -> str:
    order = [0, *(axis + 1 for axis in op.order)]
    if op.type.rank == 4:
        order = [LAST[order[axis]] for axis in FIRST]
    return writer.node("Transpose", writer.operand(op.input), perm=order)


def slice_(op: Slice, writer: Writer) -> str:
    axes = [_axis(axis, op.type.rank) for axis in range(1, op.type.rank)]
    ends = [start + count for start, count in zip(op.begin, op.size, strict=True)]
    operands = (writer.integers(op.begin), writer.integers(ends), writer.integers(axes))
    return writer.node("Slice", writer.operand(op.input), *operands)


def concat(op: Concat, writer: Writer) -> str:
    return writer.node("Concat", *map(writer.operand, op.inputs), axis=_axis(op.axis, op.type.rank))


def _axis(axis: int, rank: int) -> int:
    return LAST[axis] if rank == 4 else axis


def pad(op: Pad, writer: Writer) -> str:
    top, bottom, left, right = op.padding
    margins = writer.integers([0, 0, top, left, 0, 0, bottom, right])
    return writer.node("Pad", writer.operand(op.input), margins, writer.number(op.value))


GRIDS = {
    ("bilinear", False, False): ("linear", "asymmetric", "floor"),
    ("bilinear", True, False): ("linear", "align_corners", "floor"),
    ("bilinear", False, True): ("linear", "half_pixel", "floor"),
    ("nearest", False, False): ("nearest", "asymmetric", "floor"),
    ("nearest", True, False): ("nearest", "align_corners", "round_prefer_ceil"),
    ("nearest", False, True): ("nearest", "half_pixel", "round_prefer_ceil"),
}
"""Method, `align_corners`, `half_pixel_centers` -> mode, transformation of coordinates and rounding of Resize."""


def resize(op: Resize, writer: Writer) -> str:
    found = GRIDS.get((op.method, op.align_corners, op.half_pixel_centers))
    if found is None:
        raise NotInFormatError("it aligns corners and the middles of pixels", "let it do one of them")
    sizes = writer.integers(channels_first(op.type.shape))
    mode, grid, rounding = found
    attributes = {"mode": mode, "coordinate_transformation_mode": grid, "nearest_mode": rounding}
    return writer.node("Resize", writer.operand(op.input), "", "", sizes, **attributes)


def argmax(op: Argmax, writer: Writer) -> str:
    axis = _axis(op.input.type.rank - 1, op.input.type.rank)
    found = writer.node("ArgMax", writer.operand(op.input), axis=axis, keepdims=0)
    return writer.node("Cast", found, to=TensorProto.INT32)


def layer_norm(op: LayerNorm, writer: Writer) -> str:
    x = writer.operand(op.input)
    turned = op.type.rank == 4
    x = writer.node("Transpose", x, perm=list(LAST)) if turned else x
    scale, offset = (writer.array(writer.arrays[value]) for value in (op.scale, op.offset))
    x = writer.node("LayerNormalization", x, scale, offset, axis=-1, epsilon=op.epsilon)
    return writer.node("Transpose", x, perm=list(FIRST)) if turned else x


def conversion(op: Quantize | Dequantize | Requantize, writer: Writer) -> str:
    """Between real numbers there is nothing to do: what is stored is stored behind every operation."""
    return writer.operand(op.input)


RULES: dict[str, Rule] = {
    "normalize": normalize,
    "conv2d": convolution,
    "depthwise_conv2d": convolution,
    "dense": dense,
    "batch_norm": batch_norm,
    **dict.fromkeys(UNARY, unary),
    "clamp": clamp,
    "add": elementwise,
    "sub": elementwise,
    "mul": elementwise,
    "matmul": matmul,
    "softmax": softmax,
    "avg_pool": pool,
    "max_pool": pool,
    "global_avg_pool": global_avg_pool,
    "reshape": reshape,
    "transpose": transpose,
    "slice": slice_,
    "concat": concat,
    "resize": resize,
    "argmax": argmax,
    "layer_norm": layer_norm,
    "pad": pad,
    "quantize": conversion,
    "dequantize": conversion,
    "requantize": conversion,
}
