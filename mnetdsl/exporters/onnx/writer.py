"""An ONNX graph under construction. Maps are [N, C, H, W] inside, as the kernels of most engines are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType, Quantization, Shape, TensorType

ELEMENTS = {
    ElementType.F32: TensorProto.FLOAT,
    ElementType.U8: TensorProto.UINT8,
    ElementType.I8: TensorProto.INT8,
    ElementType.I16: TensorProto.INT16,
    ElementType.I32: TensorProto.INT32,
}
ACTIVATIONS = {"relu": "Relu", "hard_swish": "HardSwish", "sigmoid": "Sigmoid", "gelu": "Gelu", "tanh": "Tanh"}
"""Those that ONNX has as one operator without attributes."""
FIRST = (0, 3, 1, 2)
"""Axis k of [N, C, H, W] is axis FIRST[k] of ours."""
LAST = (0, 2, 3, 1)
"""Axis k of ours is axis LAST[k] of [N, C, H, W]."""

Array = NDArray[Any]


def channels_first(shape: Sequence[int]) -> Shape:
    """A shape of ours as the graph has it."""
    return tuple(shape[axis] for axis in FIRST) if len(shape) == 4 else tuple(shape)


class Writer:
    """`names` maps our values to tensors of real numbers, `stored` quantized ones to those of stored numbers."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.names: dict[Value, str] = {}
        self.stored: dict[Value, str] = {}
        self.arrays: dict[Value, Array] = {}
        self.layer = ""
        self._taken: set[str] = set()

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Appends an operator; its only result, named after the layer."""
        result = self.distinct(self.layer or kind)
        self.nodes.append(helper.make_node(kind, list(inputs), [result], name=f"{result}/{kind}", **attributes))
        return result

    def array(self, values: Array, name: str = "") -> str:
        chosen = self.distinct(name or f"{self.layer}.constant")
        self.initializers.append(numpy_helper.from_array(np.asarray(values, order="C"), chosen))
        return chosen

    def number(self, value: float) -> str:
        return self.array(np.array(value, np.float32))

    def integers(self, values: Sequence[int]) -> str:
        return self.array(np.array(values, np.int64))

    def distinct(self, name: str) -> str:
        chosen, number = name, 1
        while chosen in self._taken:
            number += 1
            chosen = f"{name}_{number}"
        self._taken.add(chosen)
        return chosen

    def activated(self, name: str, tensor: str) -> str:
        match name:
            case "none":
                return tensor
            case "relu6":
                return self.node("Clip", tensor, self.number(0.0), self.number(6.0))
            case "hard_sigmoid":
                return self.node("HardSigmoid", tensor, alpha=1 / 6, beta=0.5)
            case "silu":
                return self.node("Mul", tensor, self.node("Sigmoid", tensor))
            case _:
                return self.node(ACTIVATIONS[name], tensor)

    def operand(self, value: Value) -> str:
        """The real numbers of `value`, which may be a constant."""
        if value in self.stored and value not in self.names:
            assert value.type.quantization is not None
            dtype = value.type.element.dtype
            self.names[value] = self.dequantized(self.stored[value], dtype, value.type.quantization)
        if value not in self.names:
            array = self.arrays[value]
            array = array.transpose(FIRST) if array.ndim == 4 else array
            name = self.constant(array, self.constant_name(value), value.type.quantization)
            self.names[value] = name
        return self.names[value]

    def constant(self, array: Array, name: str, quantization: Quantization | None) -> str:
        """The real numbers of an array."""
        stored = self.array(array, name)
        return stored if quantization is None else self.dequantized(stored, array.dtype.name, quantization)

    def constant_name(self, value: Value) -> str:
        return value.producer.resource if isinstance(value.producer, Constant) else ""

    # Stored numbers

    def quantized(self, tensor: str, type: TensorType) -> str:
        assert type.quantization is not None
        return self.node("QuantizeLinear", tensor, *self._numbers(type.element.dtype, type.quantization))

    def dequantized(self, tensor: str, dtype: str, quantization: Quantization) -> str:
        axis = {} if quantization.axis is None else {"axis": quantization.axis}
        return self.node("DequantizeLinear", tensor, *self._numbers(dtype, quantization), **axis)

    def _numbers(self, dtype: str, found: Quantization) -> tuple[str, ...]:
        scale, point = np.array(found.scale, np.float32), np.array(found.zero_point, dtype)
        if found.axis is None:
            scale, point = scale.reshape(()), point.reshape(())
        names = self.array(scale, f"{self.layer}.scale")
        return (names,) if dtype == "int32" else (names, self.array(point, f"{self.layer}.zero_point"))
