"""Writes small TensorFlow Lite models, and runs them with the reference kernels.

The schema and the kernels are those of the package ai-edge-litert. No delegate is applied, every tensor is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
SAME, VALID = 0, 1


@dataclass(frozen=True)
class Tensor:
    """A tensor of the model; a constant where it has `data`."""

    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    data: Array | None = None

    @classmethod
    def constant(
        cls, data: Array, scales: Sequence[float] = (), zero_points: Sequence[int] = (), axis: int = 0
    ) -> Tensor:
        return cls(data.shape, data.dtype.name, tuple(scales), tuple(zero_points), axis, data)


@dataclass(frozen=True)
class Operator:
    """`inputs` and `outputs` are numbers of tensors; `options` are fields of `<kind>T` of the schema, by name."""

    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kind: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def model_bytes(
    tensors: Sequence[Tensor], operators: Sequence[Operator], inputs: Sequence[int], outputs: Sequence[int]
) -> bytes:
    """The file of a model with one subgraph."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description = 3, b""
    model.buffers = [schema.BufferT()]
    graph.tensors = []
    for number, tensor in enumerate(tensors):
        graph.tensors.append(_tensor(schema, tensor, number, model.buffers))
    codes = list(dict.fromkeys(operator.code for operator in operators))
    model.operatorCodes = [_code(schema, code) for code in codes]
    graph.operators = [_operator(schema, operator, codes) for operator in operators]
    graph.inputs, graph.outputs, graph.name = list(inputs), list(outputs), b"main"
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(schema: Any, tensor: Tensor, number: int, buffers: list[Any]) -> Any:
    made = schema.TensorT()
    made.shape, made.name = list(tensor.shape), f"t{number}".encode()
    made.type = getattr(schema.TensorType, tensor.dtype.upper())
    made.buffer = 0
    if tensor.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)
        made.buffer = len(buffers)
        buffers.append(buffer)
    if tensor.scales:
        quantization = schema.QuantizationParametersT()
        quantization.scale = [float(np.float32(scale)) for scale in tensor.scales]
        quantization.zeroPoint = list(tensor.zero_points) or [0] * len(tensor.scales)
        quantization.quantizedDimension = tensor.axis
        made.quantization = quantization
    return made


def _code(schema: Any, name: str) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode = getattr(schema.BuiltinOperator, name)
    made.deprecatedBuiltinCode = min(made.builtinCode, 127)
    made.version = 1
    return made


def _operator(schema: Any, operator: Operator, codes: list[str]) -> Any:
    made = schema.OperatorT()
    made.opcodeIndex = codes.index(operator.code)
    made.inputs, made.outputs = list(operator.inputs), list(operator.outputs)
    if operator.kind:
        options = getattr(schema, f"{operator.kind}T")()
        for name, value in operator.options.items():
            if not hasattr(options, name):
                raise AttributeError(f"{operator.kind} has no {name}")
            setattr(options, name, value)
        made.builtinOptionsType = getattr(schema.BuiltinOptions, operator.kind)
        made.builtinOptions = options
    return made


class Reference:
    """A model under the reference kernels."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        self.inputs = [detail["index"] for detail in self._interpreter.get_input_details()]
        self.outputs = [detail["index"] for detail in self._interpreter.get_output_details()]

    def run(self, inputs: Mapping[int, Array], wanted: Sequence[int] | None = None) -> list[Array]:
        """Tensors `wanted` (default: the outputs) for `inputs` by tensor number."""
        for number, array in inputs.items():
            self._interpreter.set_tensor(number, array)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(number) for number in (self.outputs if wanted is None else wanted)]


def run_single(
    code: str,
    inputs: Sequence[Tensor],
    arrays: Sequence[Array],
    output: Tensor,
    kind: str = "",
    options: Mapping[str, Any] | None = None,
) -> Array:
    """The result of one operator on `arrays`, the values of those `inputs` that are no constants, in order."""
    tensors = (*inputs, output)
    given = [number for number, tensor in enumerate(inputs) if tensor.data is None]
    operator = Operator(code, tuple(range(len(inputs))), (len(inputs),), kind, options or {})
    reference = Reference(model_bytes(tensors, [operator], given, [len(inputs)]))
    return reference.run(dict(zip(given, arrays, strict=True)))[0]
