"""Small TensorFlow Lite models, made operator by operator through the schema's own writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

Array = NDArray[Any]
TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
}
Numbers = tuple[float, int]
"""Scale and zero point."""


class Maker:
    """A model under construction. `kind` is the element type of its activations."""

    def __init__(self, kind: str = "float32", seed: int = 1) -> None:
        self.kind = kind
        self.random = np.random.default_rng(seed)
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.subgraphs = [self.graph]
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.model.metadata = []

    def tensor(self, shape: Sequence[int], kind: str = "", numbers: Numbers | None = None, name: str = "") -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), TYPES[kind or self.kind], 0
        tensor.name = (name or f"t{len(self.graph.tensors)}").encode()
        if numbers is not None:
            tensor.quantization = quantization([numbers[0]], [numbers[1]])
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, values: Array, scales: Sequence[float] = (), points: Sequence[int] = (), axis: int = 0) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        number = self.tensor(values.shape, values.dtype.name)
        self.graph.tensors[number].buffer = len(self.model.buffers) - 1
        if scales:
            self.graph.tensors[number].quantization = quantization(scales, points or [0] * len(scales), axis)
        return number

    def input(self, shape: Sequence[int] = (1, 8, 8, 3), numbers: Numbers | None = None, kind: str = "") -> int:
        number = self.tensor(shape, kind, numbers, "input")
        self.graph.inputs.append(number)
        return number

    def op(
        self, code: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None, custom: str = ""
    ) -> None:
        operator = schema.OperatorT()
        entry = schema.OperatorCodeT()
        entry.builtinCode = getattr(schema.BuiltinOperator, code)
        entry.deprecatedBuiltinCode = min(entry.builtinCode, 127)
        entry.version = 1
        entry.customCode = custom.encode() or None
        self.model.operatorCodes.append(entry)
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        self.graph.operators.append(operator)

    # Layers

    def shape(self, number: int) -> list[int]:
        return list(self.graph.tensors[number].shape)

    def scale(self, number: int) -> float:
        return float(self.graph.tensors[number].quantization.scale[0])

    def weights(self, shape: Sequence[int], axis: int) -> int:
        if self.kind == "float32":
            return self.constant(self.random.standard_normal(shape).astype(np.float32))
        if self.kind == "uint8":
            return self.constant(self.random.integers(0, 256, shape).astype(np.uint8), [0.02], [120])
        scales = self.random.uniform(0.005, 0.02, shape[axis]).astype(np.float32).tolist()
        return self.constant(self.random.integers(-127, 128, shape).astype(np.int8), scales, axis=axis)

    def bias(self, count: int, source: int, weights: int) -> int:
        if self.kind == "float32":
            return self.constant(self.random.standard_normal(count).astype(np.float32))
        scales = [self.scale(source) * scale for scale in self.graph.tensors[weights].quantization.scale]
        return self.constant(self.random.integers(-500, 500, count).astype(np.int32), scales)

    def result(self, shape: Sequence[int], numbers: Numbers | None = None) -> int:
        default = {"float32": None, "int8": (0.05, -3), "uint8": (0.05, 125), "int16": (0.01, 0)}[self.kind]
        return self.tensor(shape, numbers=numbers or default)

    def conv(
        self,
        source: int,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        act: int = 0,
        padding: int = 0,
        dilation: int = 1,
        numbers: Numbers | None = None,
    ) -> int:
        _, height, width, inputs = self.shape(source)
        weights = self.weights([channels, kernel, kernel, inputs], 0)
        options = schema.Conv2DOptionsT()
        options.strideH = options.strideW = stride
        options.padding, options.fusedActivationFunction = padding, act
        options.dilationHFactor = options.dilationWFactor = dilation
        sizes = [self.window(size, kernel, stride, padding, dilation) for size in (height, width)]
        result = self.result([1, *sizes, channels], numbers)
        self.op("CONV_2D", [source, weights, self.bias(channels, source, weights)], [result], options)
        return result

    def depthwise(
        self,
        source: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        act: int = 0,
        padding: int = 0,
        multiplier: int = 1,
        numbers: Numbers | None = None,
    ) -> int:
        _, height, width, channels = self.shape(source)
        weights = self.weights([1, kernel, kernel, channels * multiplier], 3)
        options = schema.DepthwiseConv2DOptionsT()
        options.strideH = options.strideW = stride
        options.padding, options.fusedActivationFunction, options.depthMultiplier = padding, act, multiplier
        sizes = [self.window(size, kernel, stride, padding, 1) for size in (height, width)]
        result = self.result([1, *sizes, channels * multiplier], numbers)
        bias = self.bias(channels * multiplier, source, weights)
        self.op("DEPTHWISE_CONV_2D", [source, weights, bias], [result], options)
        return result

    def dense(self, source: int, features: int) -> int:
        size = int(np.prod(self.shape(source)))
        weights = self.weights([features, size], 0)
        result = self.result([1, features])
        options = schema.FullyConnectedOptionsT()
        self.op("FULLY_CONNECTED", [source, weights, self.bias(features, source, weights)], [result], options)
        return result

    def add(self, left: int, right: int, *, act: int = 0, code: str = "ADD") -> int:
        options = getattr(schema, f"{code.title()}OptionsT")()
        options.fusedActivationFunction = act
        shape = max(self.shape(left), self.shape(right), key=lambda sizes: (len(sizes), int(np.prod(sizes))))
        result = self.result(shape)
        self.op(code, [left, right], [result], options)
        return result

    def unary(self, code: str, source: int, numbers: Numbers | None = None) -> int:
        options = schema.SoftmaxOptionsT() if code == "SOFTMAX" else None
        if options is not None:
            options.beta = 1.0
            numbers = {"int8": (1 / 256, -128), "uint8": (1 / 256, 0)}.get(self.kind)
        result = self.result(self.shape(source), numbers)
        self.op(code, [source], [result], options)
        return result

    def mean(self, source: int, *, keep: bool = False) -> int:
        options = schema.ReducerOptionsT()
        options.keepDims = keep
        channels = self.shape(source)[3]
        result = self.result([1, 1, 1, channels] if keep else [1, channels])
        self.op("MEAN", [source, self.constant(np.array([1, 2], np.int32))], [result], options)
        return result

    def pad(self, source: int, top: int, bottom: int, left: int, right: int) -> int:
        numbers = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        _, height, width, channels = self.shape(source)
        stored = self.graph.tensors[source].quantization
        same = None if stored is None else (float(stored.scale[0]), int(stored.zeroPoint[0]))
        result = self.result([1, height + top + bottom, width + left + right, channels], same)
        self.op("PAD", [source, self.constant(numbers)], [result], schema.PadOptionsT())
        return result

    @staticmethod
    def window(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
        reach = (kernel - 1) * dilation + 1
        return -(-size // stride) if padding == 0 else -(-(size - reach + 1) // stride)

    def done(self, *outputs: int) -> bytes:
        self.graph.outputs = list(outputs)
        return self.packed()

    def packed(self) -> bytes:
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def quantization(scales: Sequence[float], points: Sequence[int], axis: int = 0) -> Any:
    found = schema.QuantizationParametersT()
    found.scale, found.zeroPoint, found.quantizedDimension = list(scales), list(points), axis
    return found


def input_numbers(kind: str) -> Numbers | None:
    return {"float32": None, "int8": (1 / 128, 0), "uint8": (1 / 128, 128)}[kind]


def mobile(kind: str = "float32") -> Maker:
    """A network with a stem, three inverted residuals, a mean and a classifier; its output is not yet set."""
    maker = Maker(kind)
    relu6 = 3
    x = maker.conv(maker.input((1, 16, 16, 3), input_numbers(kind)), 8, 3, 2, act=relu6)
    for expanded, channels, stride in ((8, 8, 1), (48, 12, 2), (72, 12, 1)):
        y = x
        if expanded != maker.shape(x)[3]:
            y = maker.conv(y, expanded, act=relu6)
        y = maker.depthwise(y, stride=stride, act=relu6)
        y = maker.conv(y, channels)
        x = maker.add(x, y) if maker.shape(x) == maker.shape(y) else y
    x = maker.conv(x, 32, act=relu6)
    x = maker.dense(maker.mean(x), 10)
    maker.graph.outputs = [maker.unary("SOFTMAX", x)]
    return maker


def variety(kind: str = "float32") -> Maker:
    """One of every operator that any element type can have: pools, pads, concat, gates, reshapes."""
    maker = Maker(kind)
    source = (
        maker.input((1, 12, 12, 4), input_numbers(kind))
        if kind == "float32"
        else maker.input((1, 12, 12, 3), input_numbers(kind))
    )
    x = maker.conv(source, 8, 3, 2, act=1)
    x = maker.conv(maker.pad(x, 0, 1, 0, 1), 8, 3, 2, padding=1)
    left = maker.depthwise(x, multiplier=2)
    right = maker.conv(x, 4, 3, dilation=2)
    options = schema.ConcatenationOptionsT()
    options.axis = 3
    joined = maker.result([1, 3, 3, 20])
    maker.op("CONCATENATION", [left, right], [joined], options)
    gate = maker.mean(joined, keep=True)
    gate = maker.unary("LOGISTIC", maker.conv(gate, 20))
    x = maker.add(joined, gate, code="MUL")
    pool = schema.Pool2DOptionsT()
    pool.filterHeight = pool.filterWidth = pool.strideH = pool.strideW = 3
    pool.padding = 1
    pooled = maker.result([1, 1, 1, 20])
    maker.op("AVERAGE_POOL_2D", [x], [pooled], pool)
    flat = maker.result([1, 20])
    maker.op("RESHAPE", [pooled, maker.constant(np.array([1, 20], np.int32))], [flat], schema.ReshapeOptionsT())
    maker.graph.outputs = [maker.dense(flat, 5)]
    return maker
