"""A float module as a TensorFlow Lite file, so that LiteRT runs the very network that ours is timed on.

Uses the schema classes that the package `ai-edge-litert` carries. Both formats are NHWC: tensors go over as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.matmul import Matmul
from mnetdsl.ir.ops.pool import GlobalAvgPool
from mnetdsl.ir.ops.shape import Reshape
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.ir.ops.unary import UnaryOp

VERSION = 3
IDENTIFIER = b"TFL3"
FUSED = {"none": 0, "relu": 1, "relu6": 3}
"""`ActivationFunctionType` of activations that an operator can carry."""
SINGLE = {
    "relu": "RELU",
    "relu6": "RELU6",
    "hard_swish": "HARD_SWISH",
    "sigmoid": "LOGISTIC",
    "tanh": "TANH",
    "gelu": "GELU",
}
"""Activations that are one operator by themselves."""

Array = NDArray[Any]


class Writer:
    """The TensorFlow Lite model under construction; `numbers` maps our values to its tensors."""

    def __init__(self) -> None:
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model = schema.ModelT()
        self.model.version = VERSION
        self.model.subgraphs = [self.graph]
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.numbers: dict[Value, int] = {}
        self.arrays: dict[Value, Array] = {}

    def tensor(
        self, shape: Sequence[int], kind: int = schema.TensorType.FLOAT32, name: str = "", buffer: int = 0
    ) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), kind, buffer
        tensor.name = (name or f"t{len(self.graph.tensors)}").encode()
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def array(self, values: Array) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        kind = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}[values.dtype.name]
        return self.tensor(values.shape, kind, buffer=len(self.model.buffers) - 1)

    def node(
        self,
        code: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        options: Any = None,
        version: int = 1,
    ) -> int:
        """Appends operator `code`; `options` is an object of its options class. Returns its result."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(getattr(schema.BuiltinOperator, code), version)
        operator.inputs = list(inputs)
        operator.outputs = [self.tensor(shape)]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        self.graph.operators.append(operator)
        return int(operator.outputs[0])

    def _code(self, code: int, version: int) -> int:
        for index, known in enumerate(self.model.operatorCodes):
            if (known.builtinCode, known.version) == (code, version):
                return index
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), version
        self.model.operatorCodes.append(entry)
        return len(self.model.operatorCodes) - 1

    def operand(self, value: Value) -> int:
        if value not in self.numbers:
            self.numbers[value] = self.array(self.arrays[value])
        return self.numbers[value]

    def bias(self, value: Value | None, channels: int) -> int:
        return self.array(np.zeros(channels, np.float32)) if value is None else self.operand(value)

    def activated(self, name: str, tensor: int, shape: Sequence[int]) -> int:
        """`tensor` under an activation that its operator could not carry."""
        if name in SINGLE:
            return self.node(SINGLE[name], [tensor], shape, schema.GeluOptionsT() if name == "gelu" else None)
        if name == "silu":
            return self._binary("MUL", tensor, self.node("LOGISTIC", [tensor], shape), shape)
        if name == "hard_sigmoid":
            shifted = self._binary("ADD", tensor, self.array(np.array([3.0], np.float32)), shape, "relu6")
            return self._binary("MUL", shifted, self.array(np.array([1 / 6], np.float32)), shape)
        raise KeyError(name)

    def _binary(self, code: str, left: int, right: int, shape: Sequence[int], activation: str = "none") -> int:
        options = schema.AddOptionsT() if code == "ADD" else schema.MulOptionsT()
        options.fusedActivationFunction = FUSED[activation]
        return self.node(code, [left, right], shape, options)

    def finish(self, code: str, inputs: Sequence[int], shape: Sequence[int], options: Any, activation: str) -> int:
        """An operator with its activation inside where it can carry it, else behind it."""
        options.fusedActivationFunction = FUSED.get(activation, 0)
        result = self.node(code, inputs, shape, options)
        return result if activation in FUSED else self.activated(activation, result, shape)


def convolution(op: Conv2d | DepthwiseConv2d, writer: Writer) -> int:
    weights = writer.arrays[op.filter]
    height, width = weights.shape[:2]
    source, padding = _padded(op, (height, width), writer)
    options: Any
    if isinstance(op, Conv2d):
        code, options = "CONV_2D", schema.Conv2DOptionsT()
        filters = weights.transpose(3, 0, 1, 2)
    else:
        code, options = "DEPTHWISE_CONV_2D", schema.DepthwiseConv2DOptionsT()
        filters = weights.reshape(1, height, width, -1)
        options.depthMultiplier = weights.shape[3]
    options.padding = padding
    options.strideH, options.strideW = op.strides
    options.dilationHFactor, options.dilationWFactor = op.dilations
    inputs = [source, writer.array(filters), writer.bias(op.bias, op.type.shape[3])]
    result = writer.finish(code, inputs, op.type.shape, options, op.activation)
    if isinstance(op, Conv2d) and op.residual is not None:
        result = writer.node("ADD", [result, writer.operand(op.residual)], op.type.shape, schema.AddOptionsT())
    return result


def _padded(op: Conv2d | DepthwiseConv2d, kernel: tuple[int, int], writer: Writer) -> tuple[int, int]:
    """The input and the padding mode: VALID, SAME, or VALID behind an operator that pads."""
    source = writer.operand(op.input)
    if not any(op.padding):
        return source, schema.Padding.VALID
    _, *sizes, _ = op.input.type.shape
    same: list[int] = []
    for size, window, stride, dilation in zip(sizes, kernel, op.strides, op.dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size, 0)
        same += [total // 2, total - total // 2]
    if list(op.padding) == same:
        return source, schema.Padding.SAME
    margins = np.array([[0, 0], op.padding[:2], op.padding[2:], [0, 0]], np.int32)
    shape = np.array(op.input.type.shape) + margins.sum(axis=1)
    padded = writer.node("PAD", [source, writer.array(margins)], shape.tolist(), schema.PadOptionsT())
    return padded, schema.Padding.VALID


def dense(op: Dense, writer: Writer) -> int:
    filters = writer.array(writer.arrays[op.filter].transpose())
    inputs = [writer.operand(op.input), filters, writer.bias(op.bias, op.type.shape[1])]
    return writer.finish("FULLY_CONNECTED", inputs, op.type.shape, schema.FullyConnectedOptionsT(), op.activation)


def elementwise(op: Elementwise, writer: Writer) -> int:
    options = {"add": schema.AddOptionsT, "sub": schema.SubOptionsT, "mul": schema.MulOptionsT}[op.opcode]()
    inputs = [writer.operand(op.left), writer.operand(op.right)]
    return writer.finish(op.opcode.upper(), inputs, op.type.shape, options, op.activation)


def unary(op: UnaryOp, writer: Writer) -> int:
    return writer.activated(op.opcode, writer.operand(op.input), op.type.shape)


def global_avg_pool(op: GlobalAvgPool, writer: Writer) -> int:
    axes = writer.array(np.array([1, 2], np.int32))
    return writer.node("MEAN", [writer.operand(op.input), axes], op.type.shape, schema.ReducerOptionsT())


def reshape(op: Reshape, writer: Writer) -> int:
    shape = writer.array(np.array(op.type.shape, np.int32))
    return writer.node("RESHAPE", [writer.operand(op.input), shape], op.type.shape, schema.ReshapeOptionsT())


def softmax(op: Softmax, writer: Writer) -> int:
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return writer.node("SOFTMAX", [writer.operand(op.input)], op.type.shape, options)


def matmul(op: Matmul, writer: Writer) -> int:
    options = schema.BatchMatMulOptionsT()
    options.adjY = op.transpose == "right"
    inputs = [writer.operand(op.left), writer.operand(op.right)]
    product = writer.node("BATCH_MATMUL", inputs, op.type.shape, options)
    if op.scale == 1.0:
        return product
    factor = writer.array(np.array([op.scale], np.float32))
    return writer.node("MUL", [product, factor], op.type.shape, schema.MulOptionsT())


WRITERS: dict[str, Callable[[Any, Writer], int]] = {
    "conv2d": convolution,
    "depthwise_conv2d": convolution,
    "dense": dense,
    "add": elementwise,
    "sub": elementwise,
    "mul": elementwise,
    **dict.fromkeys((*SINGLE, "silu", "hard_sigmoid"), unary),
    "global_avg_pool": global_avg_pool,
    "reshape": reshape,
    "softmax": softmax,
    "matmul": matmul,
}


def to_tflite(module: Module) -> bytes:
    """`module`, float32 from its inputs on and optimized, with its weights, for batch 1.

    Raises `KeyError` for an operation that this writer does not know, with its opcode.
    """
    writer = Writer()
    for port in module.graph.inputs:
        writer.numbers[port.value] = writer.tensor(port.value.type.shape, name=port.name)
    for op in module.graph.operations:
        if isinstance(op, Constant):
            writer.arrays[op.result] = np.asarray(module.resources[op.resource], np.float32)
        else:
            writer.numbers[op.result] = WRITERS[op.opcode](op, writer)
    writer.graph.inputs = [writer.numbers[port.value] for port in module.graph.inputs]
    writer.graph.outputs = [writer.numbers[port.value] for port in module.graph.outputs]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(writer.model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())
