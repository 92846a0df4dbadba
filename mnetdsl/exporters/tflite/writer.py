"""A TensorFlow Lite model under construction, in the schema classes that the package `ai-edge-litert` carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mnetdsl.exporters.tflite.widths import widened
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType, Quantization, TensorType

VERSION = 3
IDENTIFIER = b"TFL3"
FUSED = {"none": 0, "relu": 1, "relu6": 3}
"""`ActivationFunctionType` of activations that an operator can carry."""
TYPES = {
    ElementType.F32: schema.TensorType.FLOAT32,
    ElementType.I8: schema.TensorType.INT8,
    ElementType.U8: schema.TensorType.UINT8,
    ElementType.I16: schema.TensorType.INT16,
    ElementType.I32: schema.TensorType.INT32,
    ElementType.I64: schema.TensorType.INT64,
}
VERSIONS: dict[str, tuple[int, int, int]] = {
    "CONV_2D": (1, 3, 4),
    "DEPTHWISE_CONV_2D": (2, 3, 5),
    "FULLY_CONNECTED": (1, 4, 7),
    "ADD": (1, 2, 4),
    "SUB": (1, 2, 5),
    "MUL": (1, 2, 4),
    "AVERAGE_POOL_2D": (1, 2, 3),
    "MAX_POOL_2D": (1, 2, 3),
    "MEAN": (1, 2, 3),
    "SOFTMAX": (1, 2, 3),
    "PAD": (1, 2, 3),
    "PADV2": (1, 2, 3),
    "CONCATENATION": (1, 2, 3),
    "LOGISTIC": (1, 2, 3),
    "TANH": (1, 2, 3),
    "RELU": (1, 2, 3),
    "RELU6": (1, 2, 3),
    "GELU": (1, 2, 2),
    "TRANSPOSE": (1, 2, 4),
    "SLICE": (1, 2, 4),
    "GATHER": (1, 2, 4),
    "RESIZE_BILINEAR": (3, 3, 4),
    "RESIZE_NEAREST_NEIGHBOR": (3, 3, 4),
    "QUANTIZE": (1, 1, 2),
    "DEQUANTIZE": (1, 2, 3),
}
"""Versions of operators on float and uint8, int8 and int16 tensors, 1 where nothing is said (tools/versioning of
TensorFlow Lite)."""

Array = NDArray[Any]


class Writer:
    """`numbers` maps our values to the model's tensors, `arrays` has the constants among them.

    `result` is the type that the current layer is written with, `wide` whether its operands are held in 16 bits.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model = schema.ModelT()
        self.model.version = VERSION
        self.model.description = b"mnetdsl"
        self.model.subgraphs = [self.graph]
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.model.metadata = []
        self.numbers: dict[Value, int] = {}
        self.arrays: dict[Value, Array] = {}
        self.layer = ""
        self.result = TensorType(())
        self.wide = False
        self._widened: dict[Value, int] = {}
        self._names: set[str] = set()

    # Tensors

    def tensor(self, type: TensorType, name: str = "", buffer: int = 0) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(type.shape), TYPES[type.element], buffer
        tensor.name = self._distinct(name or self.layer).encode()
        if type.quantization is not None:
            tensor.quantization = _quantization(type.quantization)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def array(self, values: Array, quantization: Quantization | None = None, name: str = "") -> int:
        """A constant."""
        number = self.buffer(np.ascontiguousarray(values).tobytes())
        element = next(element for element in TYPES if element.dtype == values.dtype.name)
        return self.tensor(TensorType(values.shape, element, quantization), name or f"{self.layer}.constant", number)

    def buffer(self, data: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def integers(self, values: Sequence[int]) -> int:
        return self.array(np.array(values, np.int32))

    def operand(self, value: Value) -> int:
        """The tensor of `value`, which may be a constant, as the current layer reads it."""
        if self.wide and value.type.element.byte_width == 1:
            if value not in self._widened:
                source = self._operand(value)
                self._widened[value] = self.node("QUANTIZE", [source], self.type_of(value), inner=True)
            return self._widened[value]
        return self._operand(value)

    def type_of(self, value: Value) -> TensorType:
        """The type of `operand(value)`."""
        return widened(value.type) if self.wide and value.type.element.byte_width == 1 else value.type

    def _operand(self, value: Value) -> int:
        if value not in self.numbers:
            name = self.constant_name(value)
            self.numbers[value] = self.array(self.arrays[value], value.type.quantization, name)
        return self.numbers[value]

    def constant_name(self, value: Value) -> str:
        return value.producer.resource if isinstance(value.producer, Constant) else ""

    def _distinct(self, name: str) -> str:
        chosen, number = name, 1
        while chosen in self._names:
            number += 1
            chosen = f"{name}_{number}"
        self._names.add(chosen)
        return chosen

    # Operators

    def node(
        self, code: str, inputs: Sequence[int], type: TensorType, options: Any = None, *, inner: bool = False
    ) -> int:
        """Appends operator `code`; `options` is an object of its options class. Returns its result, a tensor of `type`
        named as the layer, or as a step `inner` to it."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(code, type)
        operator.inputs = list(inputs)
        operator.outputs = [self.tensor(type, f"{self.layer}.step" if inner else self.layer)]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options.__class__.__name__[:-1])
        self.graph.operators.append(operator)
        return int(operator.outputs[0])

    def _code(self, name: str, type: TensorType) -> int:
        column = {ElementType.I8: 1, ElementType.I16: 2}.get(type.element, 0)
        version = VERSIONS.get(name, (1, 1, 1))[column]
        code = getattr(schema.BuiltinOperator, name)
        for index, known in enumerate(self.model.operatorCodes):
            if (known.builtinCode, known.version) == (code, version):
                return index
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), version
        self.model.operatorCodes.append(entry)
        return len(self.model.operatorCodes) - 1

    # The file

    def metadata(self, name: str, data: bytes) -> None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = name.encode(), self.buffer(data)
        self.model.metadata.append(entry)

    def signature(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        """The model's inputs and outputs, under the names that they have in the language."""
        self.graph.inputs, self.graph.outputs = list(inputs.values()), list(outputs.values())
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs, signature.outputs = _maps(inputs), _maps(outputs)
        self.model.signatureDefs = [signature]

    def packed(self) -> bytes:
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())


def _quantization(found: Quantization) -> Any:
    quantization = schema.QuantizationParametersT()
    quantization.scale = np.array(found.scale, np.float32)
    quantization.zeroPoint = np.array(found.zero_point, np.int64)
    quantization.quantizedDimension = found.axis or 0
    return quantization


def _maps(tensors: Mapping[str, int]) -> list[Any]:
    entries = []
    for name, number in tensors.items():
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), number
        entries.append(entry)
    return entries
