"""What each operation is in TensorFlow Lite. Both are NHWC: tensors go over as they are, float or quantized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mnetdsl.exporters.problems import NotInFormatError
from mnetdsl.exporters.tflite.functions import NOT_WIDE, SINGLE, clamp, finish, grid, number, unary
from mnetdsl.exporters.tflite.writer import Array, Writer
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.argmax import Argmax
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.layer_norm import LayerNorm
from mnetdsl.ir.ops.matmul import Matmul
from mnetdsl.ir.ops.pool import GlobalAvgPool, Pool
from mnetdsl.ir.ops.quantize import Dequantize, Quantize, Requantize
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.ir.ops.window import same_padding
from mnetdsl.ir.types import ElementType, Quantization, TensorType
from mnetdsl.numerics.clamps import stored_number
from mnetdsl.numerics.softmax import softmax_result

LOWEST = float(np.finfo(np.float32).min)

Rule = Callable[[Any, Writer], int]


# Layers with weights


def convolution(op: Conv2d | DepthwiseConv2d, writer: Writer) -> int:
    weights = writer.arrays[op.filter]
    height, width = weights.shape[:2]
    source, padding = _padded(op, (height, width), writer)
    options: Any
    if isinstance(op, Conv2d):
        code, options, axis = "CONV_2D", schema.Conv2DOptionsT(), 0
        filters = weights.transpose(3, 0, 1, 2)
    elif writer.wide:  # a convolution in groups, since it alone adds up in 32 bits as 8-bit layers do
        code, options, axis = "CONV_2D", schema.Conv2DOptionsT(), 0
        filters = weights.reshape(height, width, 1, -1).transpose(3, 0, 1, 2)
    else:
        code, options, axis = "DEPTHWISE_CONV_2D", schema.DepthwiseConv2DOptionsT(), 3
        filters = weights.reshape(1, height, width, -1)
        options.depthMultiplier = weights.shape[3]
    options.padding = padding
    options.strideH, options.strideW = op.strides
    options.dilationHFactor, options.dilationWFactor = op.dilations
    if writer.wide:
        options.quantizedBiasType = schema.TensorType.INT32
    inputs = [source, _filter(op, filters, axis, writer), _bias(op, writer)]
    if not isinstance(op, Conv2d) or op.residual is None:
        return finish(writer, code, inputs, writer.result, options, op.activation)
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
    return border(source, writer.type_of(op.input), op.padding, 0.0, writer), schema.Padding.VALID


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
    scales = _scales(op, 0, writer)
    wide = op.input.type.element is ElementType.I16 and scales is not None and scales.axis is not None
    if scales is not None and (wide or writer.wide):
        return _as_convolution(op, scales, writer)
    filters = _filter(op, writer.arrays[op.filter].transpose(), 0, writer)
    inputs = [writer.operand(op.input), filters, _bias(op, writer)]
    return finish(writer, "FULLY_CONNECTED", inputs, writer.result, schema.FullyConnectedOptionsT(), op.activation)


def _as_convolution(op: Dense, scales: Quantization, writer: Writer) -> int:
    """Of int16 tensors FULLY_CONNECTED takes one scale for all outputs; a convolution of one pixel takes many."""
    features, outputs = op.filter.type.shape
    pixel = writer.type_of(op.input).with_shape((1, 1, 1, features))
    result = writer.result.with_shape((1, 1, 1, outputs))
    shape = writer.integers(pixel.shape)
    source = writer.node("RESHAPE", [writer.operand(op.input), shape], pixel, schema.ReshapeOptionsT(), inner=True)
    array = writer.arrays[op.filter].transpose().reshape(outputs, 1, 1, features)
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.VALID, 1, 1
    if writer.wide:
        options.quantizedBiasType = schema.TensorType.INT32
    filters = writer.array(array, scales, writer.constant_name(op.filter))
    inputs = [source, filters, _bias(op, writer)]
    mapped = finish(writer, "CONV_2D", inputs, result, options, op.activation, inner=True)
    return writer.node("RESHAPE", [mapped, writer.integers(op.type.shape)], writer.result, schema.ReshapeOptionsT())


# The rest


def elementwise(op: Elementwise, writer: Writer) -> int:
    options = {"add": schema.AddOptionsT, "sub": schema.SubOptionsT, "mul": schema.MulOptionsT}[op.opcode]()
    inputs = [writer.operand(op.left), writer.operand(op.right)]
    return finish(writer, op.opcode.upper(), inputs, writer.result, options, op.activation)


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
    return writer.node(
        "MEAN", [writer.operand(op.input), writer.integers([1, 2])], writer.result, schema.ReducerOptionsT()
    )


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


def resize(op: Resize, writer: Writer) -> int:
    linear = op.method == "bilinear"
    options = schema.ResizeBilinearOptionsT() if linear else schema.ResizeNearestNeighborOptionsT()
    options.alignCorners, options.halfPixelCenters = op.align_corners, op.half_pixel_centers
    inputs = [writer.operand(op.input), writer.integers(op.size)]
    return writer.node("RESIZE_BILINEAR" if linear else "RESIZE_NEAREST_NEIGHBOR", inputs, op.type, options)


def argmax(op: Argmax, writer: Writer) -> int:
    options = schema.ArgMaxOptionsT()
    options.outputType = schema.TensorType.INT32
    inputs = [writer.operand(op.input), writer.integers([op.input.type.rank - 1])]
    return writer.node("ARG_MAX", inputs, op.type, options)


def layer_norm(op: LayerNorm, writer: Writer) -> int:
    """In steps: it has no operator of its own."""
    row = op.type.with_shape((*op.type.shape[:-1], 1))

    def mean(tensor: int) -> int:
        options = schema.ReducerOptionsT()
        options.keepDims = True
        return writer.node("MEAN", [tensor, writer.integers([op.type.rank - 1])], row, options, inner=True)

    x = writer.operand(op.input)
    centred = writer.node("SUB", [x, mean(x)], op.type, schema.SubOptionsT(), inner=True)
    squares = writer.node("MUL", [centred, centred], op.type, schema.MulOptionsT(), inner=True)
    epsilon = writer.array(number(op.epsilon))
    variance = writer.node("ADD", [mean(squares), epsilon], row, schema.AddOptionsT(), inner=True)
    factor = writer.node("RSQRT", [variance], row, inner=True)
    scaled = writer.node("MUL", [centred, factor], op.type, schema.MulOptionsT(), inner=True)
    scaled = writer.node("MUL", [scaled, writer.operand(op.scale)], op.type, schema.MulOptionsT(), inner=True)
    return writer.node("ADD", [scaled, writer.operand(op.offset)], op.type, schema.AddOptionsT())


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
    "resize": resize,
    "argmax": argmax,
    "layer_norm": layer_norm,
    "matmul": matmul,
    "quantize": conversion,
    "dequantize": conversion,
    "requantize": conversion,
}
