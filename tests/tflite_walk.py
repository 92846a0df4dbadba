"""Evaluates the operators of a TensorFlow Lite file one by one with our interpreter, each on tensors that are given.

Independent of the importer: what is compared here is the arithmetic alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.resize import resize_bilinear
from tests.interpreter.quantized.layers import evaluate, evaluate_many, paddings

Array = NDArray[Any]
Lookup = Callable[[int], Array]

ACTIVATIONS = {0: "none", 1: "relu", 3: "relu6"}
UNARY = {"HARD_SWISH": "hard_swish", "LOGISTIC": "sigmoid", "TANH": "tanh", "RELU": "relu", "RELU6": "relu6"}
MOVES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
LEFT_OUT = ("ARG_MAX", "CUSTOM", "SHAPE", "STRIDED_SLICE", "PACK", "CAST")
"""Operators without arithmetic on stored integers."""


@dataclass(frozen=True)
class Step:
    """An operator of the file: its name, its fields as the schema has them, its tensors by number."""

    code: str
    options: Any
    inputs: tuple[int, ...]
    output: int


class Walk:
    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        self._graph = self._model.subgraphs[0]
        self._names = {number: name for name, number in vars(schema.BuiltinOperator).items() if name.isupper()}
        self.inputs = [int(number) for number in self._graph.inputs]

    def steps(self) -> Iterator[Step]:
        for operator in self._graph.operators:
            code = self._model.operatorCodes[operator.opcodeIndex]
            name = self._names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            inputs = tuple(int(number) for number in operator.inputs)
            yield Step(name, operator.builtinOptions, inputs, int(operator.outputs[0]))

    def grid(self, number: int) -> Grid | None:
        tensor = self._graph.tensors[number]
        quantization = tensor.quantization
        if quantization is None or quantization.scale is None or len(quantization.scale) != 1:
            return None
        dtype = {9: "int8", 3: "uint8", 7: "int16"}.get(tensor.type)
        return None if dtype is None else Grid(dtype, float(quantization.scale[0]), int(quantization.zeroPoint[0]))

    def evaluate(self, step: Step, tensor: Lookup) -> Array | None:
        """The result of `step`; None for operators without arithmetic."""
        if step.code in LEFT_OUT or (self.grid(step.output) is None and step.code != "DEQUANTIZE"):
            return None
        if step.code in MOVES:
            return tensor(step.inputs[0])
        result = self.grid(step.output)
        if step.code in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            return self._layer(step, tensor, result)
        operands = [(tensor(number), self.grid(number)) for number in step.inputs]
        return self._other(step, operands, result)

    def _layer(self, step: Step, tensor: Lookup, result: Grid | None) -> Array:
        x, filter = tensor(step.inputs[0]), tensor(step.inputs[1])
        quantization = self._graph.tensors[step.inputs[1]].quantization
        attributes: dict[str, Any] = {"activation": ACTIVATIONS[step.options.fusedActivationFunction]}
        if step.code == "FULLY_CONNECTED":
            opcode, filter = "dense", filter.T
            x = x.reshape(-1, filter.shape[0])
        else:
            depthwise = step.code == "DEPTHWISE_CONV_2D"
            opcode = "depthwise_conv2d" if depthwise else "conv2d"
            filter = (
                filter[0].reshape(*filter.shape[1:3], x.shape[3], -1) if depthwise else filter.transpose(1, 2, 3, 0)
            )
            attributes["strides"] = (step.options.strideH, step.options.strideW)
            attributes["dilations"] = (step.options.dilationHFactor, step.options.dilationWFactor)
            window = (x.shape, filter.shape[:2], attributes["strides"], attributes["dilations"], step.options.padding)
            attributes["padding"] = paddings(*window)
        operands: dict[str, tuple[Array, Grid | None]] = {
            "input": (x, self.grid(step.inputs[0])),
            "filter": (np.ascontiguousarray(filter), None),
        }
        if len(step.inputs) > 2 and step.inputs[2] >= 0:
            operands["bias"] = (tensor(step.inputs[2]), None)
        operands["filter_scale"] = (np.asarray(quantization.scale, np.float32), None)
        if filter.dtype == np.uint8:
            operands["filter_zero_point"] = (np.asarray(quantization.zeroPoint[:1], np.uint8), None)
        return evaluate(opcode, operands, result, **attributes)

    def _other(self, step: Step, operands: list[tuple[Array, Grid | None]], result: Grid | None) -> Array:
        x, source = operands[0]
        options = step.options
        if step.code in ("ADD", "SUB", "MUL"):
            rank = max(array.ndim for array, _ in operands)
            left, right = ((array.reshape(*[1] * (rank - array.ndim), *array.shape), grid) for array, grid in operands)
            activation = ACTIVATIONS[options.fusedActivationFunction]
            return evaluate(step.code.lower(), {"left": left, "right": right}, result, activation=activation)
        if step.code in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            kernel, strides = (options.filterHeight, options.filterWidth), (options.strideH, options.strideW)
            around = paddings(x.shape, kernel, strides, (1, 1), options.padding)
            opcode = "avg_pool" if step.code == "AVERAGE_POOL_2D" else "max_pool"
            return evaluate(opcode, {"input": operands[0]}, result, kernel=kernel, strides=strides, padding=around)
        if step.code == "MEAN":
            return evaluate("global_avg_pool", {"input": operands[0]}, result)
        if step.code == "PAD":
            around = tuple(int(number) for number in operands[1][0].reshape(-1)[2:6])
            return evaluate("pad", {"input": operands[0]}, result, padding=around)
        if step.code == "CONCATENATION":
            return evaluate_many("concat", operands, result, axis=options.axis % x.ndim)
        if step.code == "RESIZE_BILINEAR":
            size = (int(operands[1][0][0]), int(operands[1][0][1]))
            corners = {"align_corners": options.alignCorners, "half_pixel_centers": options.halfPixelCenters}
            return resize_bilinear(x, size, **corners)
        if step.code == "QUANTIZE":
            return evaluate("quantize" if source is None else "requantize", {"input": operands[0]}, result)
        if step.code == "DEQUANTIZE":
            return evaluate("dequantize", {"input": operands[0]}, None)
        if step.code == "SOFTMAX":
            return evaluate("softmax", {"input": operands[0]}, result)
        return evaluate(UNARY[step.code], {"input": operands[0]}, result)
