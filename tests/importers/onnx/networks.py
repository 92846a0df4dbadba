"""Small ONNX networks, built operator by operator, and what ONNX's own reference implementation computes on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import mnetdsl
from mnetdsl.importers.onnx import import_bytes
from mnetdsl.importers.result import Imported

Array = NDArray[Any]
TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8}
SIZE = 16


class Net:
    """A graph under construction, with an image [1, 3, SIZE, SIZE] as its input."""

    def __init__(self, seed: int = 1, element: str = "float32", opset: int = 18, size: int = SIZE) -> None:
        self.random = np.random.default_rng(seed)
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.inputs = [helper.make_tensor_value_info("input", TYPES[element], [1, 3, size, size])]
        self.outputs: list[Any] = []
        self.metadata: dict[str, str] = {}

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        names = [f"t{len(self.nodes)}" + (f"_{place}" if place else "") for place in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def array(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def noise(self, *shape: int, scale: float = 1.0) -> str:
        return self.array(self.random.standard_normal(shape) * scale)

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> str:
        taps = inputs // groups * kernel * kernel
        filter = self.noise(outputs, inputs // groups, kernel, kernel, scale=taps**-0.5)
        pads = [kernel // 2] * 4
        bias = self.noise(outputs, scale=0.1)
        return self.node("Conv", x, filter, bias, strides=[stride] * 2, pads=pads, group=groups)

    def norm(self, x: str, channels: int) -> str:
        gamma, variance = (self.array(self.random.uniform(0.5, 2.0, channels)) for _ in range(2))
        return self.node("BatchNormalization", x, gamma, self.noise(channels), self.noise(channels), variance)

    def output(self, tensor: str, name: str = "logits", element: str = "float32") -> None:
        self.nodes.append(helper.make_node("Identity", [tensor], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TYPES[element], None))

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "net", self.inputs, self.outputs, self.initializers)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=9)
        for key, value in self.metadata.items():
            entry = made.metadata_props.add()
            entry.key, entry.value = key, value
        return made

    def packed(self) -> bytes:
        return bytes(self.model().SerializeToString())


def imported(net: Net, **arguments: Any) -> Imported:
    return import_bytes(net.packed(), "net.onnx", **arguments)


def text(net: Net) -> str:
    return imported(net).files["net.mnet"].decode()


def both(net: Net, folder: Path, mean: float = 127.5, std: float = 64.0) -> Mapping[str, tuple[Array, Array]]:
    """Outputs by name: ours from the imported files, and those of ONNX's reference implementation; channels last."""
    for name, data in imported(net, mean=(mean,), std=(std,)).files.items():
        (folder / name).write_bytes(data)
    network = mnetdsl.load(folder / "net.mnet").with_weights()
    (port,) = network.module.graph.inputs
    pixels = net.random.integers(0, 256, port.value.type.shape).astype(np.uint8)
    element = net.inputs[0].type.tensor_type.elem_type
    given: Array = (
        pixels if element == TensorProto.UINT8 else (pixels.astype(np.float32) - np.float32(mean)) / np.float32(std)
    )
    if element == TensorProto.INT8:
        given = (pixels.astype(np.int16) - 128).astype(np.int8)
    names = [output.name for output in net.outputs]
    found = ReferenceEvaluator(net.model()).run(names, {"input": given.transpose(0, 3, 1, 2)})
    ours = network.run({port.name: pixels})
    return {
        name: (ours[name], array.transpose(0, 2, 3, 1) if array.ndim == 4 else array)
        for name, array in zip(names, found, strict=True)
    }


def agree(net: Net, folder: Path, tolerance: float = 1e-5) -> None:
    for name, (ours, theirs) in both(net, folder).items():
        assert ours.shape == theirs.shape, name
        np.testing.assert_allclose(ours, theirs, atol=tolerance * float(np.abs(theirs).max()), err_msg=name)


def mobile(act: str = "Relu", *, norm: bool = False, gate: bool = False, opset: int = 18) -> Net:
    """A MobileNet of a stem, three inverted residuals and a classifier, as PyTorch exports them."""
    net = Net(opset=opset)

    def activated(x: str) -> str:
        if act == "Clip":
            return net.node("Clip", x, net.array(0.0), net.array(6.0))
        if act == "by hand":
            gate = net.node("Clip", net.node("Add", x, net.array(3.0)), net.array(0.0), net.array(6.0))
            return net.node("Div", net.node("Mul", x, gate), net.array(6.0))
        if act == "gated":
            return net.node("Mul", x, net.node("HardSigmoid", x, alpha=1 / 6))
        if act == "silu":
            return net.node("Mul", x, net.node("Sigmoid", x))
        return x if act == "none" else net.node(act, x)

    def layer(x: str, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> str:
        x = net.conv(x, inputs, outputs, kernel, stride, groups)
        return net.norm(x, outputs) if norm else x

    x = activated(layer("input", 3, 8, 3, 2))
    for inputs, outputs, stride in ((8, 8, 1), (8, 12, 2), (12, 12, 1)):
        wide = inputs * 3
        y = activated(layer(x, inputs, wide))
        y = activated(layer(y, wide, wide, 3, stride, wide))
        if gate:
            s = net.node("Relu", net.conv(net.node("GlobalAveragePool", y), wide, 4))
            y = net.node("Mul", y, net.node("HardSigmoid", net.conv(s, 4, wide), alpha=1 / 6))
        y = layer(y, wide, outputs)
        x = net.node("Add", x, y) if stride == 1 and inputs == outputs else y
    x = net.node("Flatten", net.node("GlobalAveragePool", x))
    net.output(net.node("Gemm", x, net.noise(5, 12), net.noise(5), transB=1))
    return net
