"""What each operation is in TensorFlow Lite. Both are NHWC: tensors go over as they are, float or quantized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mnetdsl.exporters.problems import NotInFormatError
from mnetdsl.exporters.tflite.writer import FUSED, Array, Writer
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.matmul import Matmul
from mnetdsl.ir.ops.pool import GlobalAvgPool, Pool
from mnetdsl.ir.ops.quantize import Dequantize, Quantize, Requantize
from mnetdsl.ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.ir.ops.unary import Clamp, UnaryOp
from mnetdsl.ir.ops.window import same_padding
from mnetdsl.ir.types import ElementType, Quantization, TensorType
from mnetdsl.numerics.clamps import stored_number
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.softmax import softmax_result
from mnetdsl.numerics.tables import clamp_table, unary_table

SINGLE = {
    "relu": "RELU",
    "relu6": "RELU6",
    "hard_swish": "HARD_SWISH",
    "sigmoid": "LOGISTIC",
    "tanh": "TANH",
    "gelu": "GELU",
}
"""Activations that are one operator by themselves."""
CLAMPS = {(-1.0, 1.0): "RELU_N1_TO_1", (0.0, 1.0): "RELU_0_TO_1"}
FIXED = {"sigmoid": (1 / 256, -128), "tanh": (1 / 128, 0)}
"""Functions whose int8 result has to have this scale and zero point."""
LOWEST = float(np.finfo(np.float32).min)
NOT_WIDE = "compute this layer in float (a column `compute` that says f32), or in 8 bits"

Rule = Callable[[Any, Writer], int]


def grid(type: TensorType) -> Grid:
    assert type.quantization is not None
    return Grid(type.element.dtype, type.quantization.scale[0], type.quantization.zero_point[0])


def as_float(type: TensorType) -> TensorType:
    return TensorType(type.shape)


def number(value: float) -> Array:
    return np.array([value], np.float32)


# Layers with weights


def convolution(op: Conv2d | DepthwiseConv2d, writer: Writer) -> int:
    weights = writer.arrays[op.filter]
    height, width = weights.shape[:2]
    source, padding = _padded(op, (height, width), writer)
    options: Any
    if isinstance(op, Conv2d):
        code, options, axis = "CONV_2D", schema.Conv2DOptionsT(), 0
        filters = weights.transpose(3, 0, 1, 2)
    else:
        code, options, axis = "DEPTHWISE_CONV_2D", schema.DepthwiseConv2DOptionsT(), 3
        filters = weights.reshape(1, height, width, -1)
        options.depthMultiplier = weights.shape[3]
    options.padding = padding
    options.strideH, options.strideW = op.strides
    options.dilationHFactor, options.dilationWFactor = op.dilations
    inputs = [source, _filter(op, filters, axis, writer), _bias(op, writer)]
    if not isinstance(op, Conv2d) or op.residual is None:
        return finish(writer, code, inputs, op.type, options, op.activation)
    result = finish(writer, code, inputs, op.type, options, op.activation, inner=True)
    return writer.node("ADD", [result, writer.operand(op.residual)], op.type, schema.AddOptionsT())


def _filter(op: Conv2d | DepthwiseConv2d | Dense, array: Array, axis: int, writer: Writer) -> int:
    return writer.array(array, _scales(op, axis, writer), writer.constant_name(op.filter))


def _scales(op: Conv2d | DepthwiseConv2d | Dense, axis: int, writer: Writer) -> Quantization | None:
    """Those of the filter, along dimension `axis` of the file's array."""
    if op.filter_scale is None:
        return None
    scales = writer.arrays[op.filter_scale].tolist()
    point = 0 if op.filter_zero_point is None else int(writer.arrays[op.filter_zero_point][0])
    return Quantization(tuple(scales), (point,) * len(scales), axis if len(scales) > 1 else None)


def _bias(op: Conv2d | DepthwiseConv2d | Dense, writer: Writer) -> int:
    channels = op.type.shape[-1]
    scales = _scales(op, 0, writer)
    given = None if op.bias is None else writer.arrays[op.bias]
    name = writer.constant_name(op.bias) if op.bias is not None else f"{op.name}.bias"
    if scales is None:
        return writer.array(np.zeros(channels, np.float32) if given is None else given, None, name)
    source = op.input.type
    assert source.quantization is not None
    products = np.float32(source.quantization.scale[0]) * np.array(scales.scale, np.float32)
    if given is None:
        given = np.zeros(channels, np.int64 if source.element is ElementType.I16 else np.int32)
    quantization = Quantization(tuple(products.tolist()), (0,) * products.size, scales.axis)
    return writer.array(given, quantization, name)


def _padded(op: Conv2d | DepthwiseConv2d, kernel: tuple[int, int], writer: Writer) -> tuple[int, int]:
    """The input and the padding mode: VALID, SAME, or VALID behind an operator that pads."""
    source = writer.operand(op.input)
    mode = padding_mode(op.input.type, kernel, op.strides, op.dilations, op.padding)
    if mode is not None:
        return source, mode
    return border(source, op.input.type, op.padding, 0.0, writer), schema.Padding.VALID


def padding_mode(
    type: TensorType,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: Sequence[int],
) -> int | None:
    """The mode that pads like this; None where there is none."""
    if not any(padding):
        return int(schema.Padding.VALID)
    sizes = zip(type.shape[1:3], kernel, strides, dilations, strict=True)
    same = [pixels for size in sizes for pixels in same_padding(*size)]
    return int(schema.Padding.SAME) if list(padding) == same else None


def border(source: int, type: TensorType, padding: Sequence[int], value: float | None, writer: Writer) -> int:
    """`source` with a border of `value`, or of the lowest number where that is None."""
    top, bottom, left, right = padding
    shape = (type.shape[0], type.shape[1] + top + bottom, type.shape[2] + left + right, type.shape[3])
    margins = writer.array(np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))
    if value == 0.0:
        return writer.node("PAD", [source, margins], type.with_shape(shape), schema.PadOptionsT(), inner=True)
    if type.quantization is None:
        filled = writer.array(number(LOWEST if value is None else value))
    else:
        numbers = grid(type)
        stored = numbers.low if value is None else min(max(stored_number(numbers, value), numbers.low), numbers.high)
        filled = writer.array(np.array([stored], numbers.dtype), type.quantization)
    inputs = [source, margins, filled]
    return writer.node("PADV2", inputs, type.with_shape(shape), schema.PadV2OptionsT(), inner=True)


def dense(op: Dense, writer: Writer) -> int:
    filters = _filter(op, writer.arrays[op.filter].transpose(), 0, writer)
    inputs = [writer.operand(op.input), filters, _bias(op, writer)]
    return finish(writer, "FULLY_CONNECTED", inputs, op.type, schema.FullyConnectedOptionsT(), op.activation)


# Activations


def finish(
    writer: Writer,
    code: str,
    inputs: Sequence[int],
    type: TensorType,
    options: Any,
    activation: str,
    *,
    inner: bool = False,
) -> int:
    """An operator with its activation inside where it can carry it, else behind it."""
    options.fusedActivationFunction = FUSED.get(activation, 0)
    if activation in FUSED:
        return writer.node(code, inputs, type, options, inner=inner)
    return activated(writer, activation, writer.node(code, inputs, type, options, inner=True), type)


def activated(writer: Writer, name: str, tensor: int, type: TensorType) -> int:
    """A function of float numbers."""
    if name in SINGLE:
        return writer.node(SINGLE[name], [tensor], type, schema.GeluOptionsT() if name == "gelu" else None)
    if name == "silu":
        gate = writer.node("LOGISTIC", [tensor], type, inner=True)
        return writer.node("MUL", [tensor, gate], type, schema.MulOptionsT())
    assert name == "hard_sigmoid"
    options = schema.AddOptionsT()
    options.fusedActivationFunction = FUSED["relu6"]
    shifted = writer.node("ADD", [tensor, writer.array(number(3.0))], type, options, inner=True)
    return writer.node("MUL", [shifted, writer.array(number(1 / 6))], type, schema.MulOptionsT())


def unary(op: UnaryOp, writer: Writer) -> int:
    source = writer.operand(op.input)
    if op.type.quantization is None:
        return activated(writer, op.opcode, source, op.type)
    result = grid(op.type)
    if op.type.element.byte_width > 1 or op.input.type.element.byte_width > 1:
        if op.opcode not in ("relu", "relu6"):
            raise NotInFormatError("its int16 functions have another arithmetic than ours", NOT_WIDE)
    elif op.opcode not in SINGLE or not _takes(op.opcode, result):
        return looked_up(source, unary_table(op.opcode, grid(op.input.type), result), op, writer)
    return writer.node(SINGLE[op.opcode], [source], op.type, schema.GeluOptionsT() if op.opcode == "gelu" else None)


def _takes(function: str, result: Grid) -> bool:
    if function not in FIXED:
        return True
    scale, point = FIXED[function]
    return (result.scale, result.zero_point) == (scale, point + (128 if result.dtype == "uint8" else 0))


def looked_up(source: int, table: Array, op: UnaryOp, writer: Writer) -> int:
    """A function of 8-bit numbers that has no operator: the entries of its table, in ascending order, by number."""
    read, result = grid(op.input.type), op.type
    ascending = table[np.arange(read.low, read.high + 1).astype(read.dtype).view(np.uint8)]
    indices = TensorType(result.shape, ElementType.I32)
    options = schema.CastOptionsT()
    options.inDataType = schema.TensorType.UINT8 if read.dtype == "uint8" else schema.TensorType.INT8
    options.outDataType = schema.TensorType.INT32
    places = writer.node("CAST", [source], indices, options, inner=True)
    if read.low:
        places = writer.node("ADD", [places, writer.integers([-read.low])], indices, schema.AddOptionsT(), inner=True)
    entries = writer.array(ascending, result.quantization, f"{op.name}.table")
    return writer.node("GATHER", [entries, places], result, schema.GatherOptionsT())


def clamp(op: Clamp, writer: Writer) -> int:
    source = writer.operand(op.input)
    if op.type.quantization is not None:
        if op.type.element.byte_width > 1 or op.input.type.element.byte_width > 1:
            raise NotInFormatError("it has no such clamp of int16", NOT_WIDE)
        return looked_up(source, clamp_table(op.low, op.high, grid(op.input.type), grid(op.type)), op, writer)
    if (op.low, op.high) in CLAMPS:
        return writer.node(CLAMPS[op.low, op.high], [source], op.type)
    options = schema.MaximumMinimumOptionsT
    above = writer.node("MAXIMUM", [source, writer.array(number(op.low))], op.type, options(), inner=True)
    return writer.node("MINIMUM", [above, writer.array(number(op.high))], op.type, options())


# The rest


def elementwise(op: Elementwise, writer: Writer) -> int:
    options = {"add": schema.AddOptionsT, "sub": schema.SubOptionsT, "mul": schema.MulOptionsT}[op.opcode]()
    inputs = [writer.operand(op.left), writer.operand(op.right)]
    return finish(writer, op.opcode.upper(), inputs, op.type, options, op.activation)


def pool(op: Pool, writer: Writer) -> int:
    source, type = writer.operand(op.input), op.input.type
    mode = padding_mode(type, op.kernel, op.strides, (1, 1), op.padding)
    largest = op.opcode == "max_pool"
    if mode is None:
        if not largest:
            raise NotInFormatError(
                f"it pads {list(op.padding)}, there is only `same` and `valid`", "let it pad `same` or `valid`"
            )
        source, mode = border(source, type, op.padding, None, writer), int(schema.Padding.VALID)
    options = schema.Pool2DOptionsT()
    options.padding = mode
    options.filterHeight, options.filterWidth = op.kernel
    options.strideH, options.strideW = op.strides
    return writer.node("MAX_POOL_2D" if largest else "AVERAGE_POOL_2D", [source], op.type, options)


def global_avg_pool(op: GlobalAvgPool, writer: Writer) -> int:
    return writer.node("MEAN", [writer.operand(op.input), writer.integers([1, 2])], op.type, schema.ReducerOptionsT())


def reshape(op: Reshape, writer: Writer) -> int:
    inputs = [writer.operand(op.input), writer.integers(op.type.shape)]
    return writer.node("RESHAPE", inputs, op.type, schema.ReshapeOptionsT())


def transpose(op: Transpose, writer: Writer) -> int:
    order = writer.integers([0, *(axis + 1 for axis in op.order)])
    return writer.node("TRANSPOSE", [writer.operand(op.input), order], op.type, schema.TransposeOptionsT())


def slice_(op: Slice, writer: Writer) -> int:
    inputs = [writer.operand(op.input), writer.integers([0, *op.begin]), writer.integers([1, *op.size])]
    return writer.node("SLICE", inputs, op.type, schema.SliceOptionsT())


def pad(op: Pad, writer: Writer) -> int:
    return border(writer.operand(op.input), op.input.type, op.padding, op.value, writer)


def concat(op: Concat, writer: Writer) -> int:
    inputs = [_joined(value, op.type, writer) for value in op.inputs]
    options = schema.ConcatenationOptionsT()
    options.axis = op.axis
    return writer.node("CONCATENATION", inputs, op.type, options)


def _joined(value: Value, result: TensorType, writer: Writer) -> int:
    """int8 and int16 tensors are joined on one grid only."""
    type = value.type
    if type.storage == result.storage or type.element is ElementType.U8 or type.quantization is None:
        return writer.operand(value)
    stored = type.stored_as(result.storage)
    return writer.node("QUANTIZE", [writer.operand(value)], stored, schema.QuantizeOptionsT(), inner=True)


def softmax(op: Softmax, writer: Writer) -> int:
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    source, type = writer.operand(op.input), op.type
    if type.quantization is None:
        return writer.node("SOFTMAX", [source], type, options)
    if type.element.byte_width > 1:
        raise NotInFormatError("its int16 softmax has another arithmetic than ours", NOT_WIDE)
    fixed = softmax_result(type.element.dtype)
    if fixed == grid(type):
        return writer.node("SOFTMAX", [source], type, options)
    computed = TensorType(type.shape, type.element, Quantization.per_tensor(fixed.scale, fixed.zero_point))
    found = writer.node("SOFTMAX", [source], computed, options, inner=True)
    return writer.node("QUANTIZE", [found], type, schema.QuantizeOptionsT())


def matmul(op: Matmul, writer: Writer) -> int:
    options = schema.BatchMatMulOptionsT()
    options.adjY = op.transpose == "right"
    inputs = [writer.operand(op.left), writer.operand(op.right)]
    product = writer.node("BATCH_MATMUL", inputs, op.type, options, inner=op.scale != 1.0)
    if op.scale == 1.0:
        return product
    return writer.node("MUL", [product, writer.array(number(op.scale))], op.type, schema.MulOptionsT())


def conversion(op: Quantize | Dequantize | Requantize, writer: Writer) -> int:
    source = writer.operand(op.input)
    if isinstance(op, Dequantize):
        return writer.node("DEQUANTIZE", [source], op.type, schema.DequantizeOptionsT())
    return writer.node("QUANTIZE", [source], op.type, schema.QuantizeOptionsT())


RULES: dict[str, Rule] = {
    "conv2d": convolution,
    "depthwise_conv2d": convolution,
    "dense": dense,
    "add": elementwise,
    "sub": elementwise,
    "mul": elementwise,
    **dict.fromkeys((*SINGLE, "silu", "hard_sigmoid"), unary),
    "clamp": clamp,
    "avg_pool": pool,
    "max_pool": pool,
    "global_avg_pool": global_avg_pool,
    "reshape": reshape,
    "transpose": transpose,
    "slice": slice_,
    "pad": pad,
    "concat": concat,
    "softmax": softmax,
    "matmul": matmul,
    "quantize": conversion,
    "dequantize": conversion,
    "requantize": conversion,
}
