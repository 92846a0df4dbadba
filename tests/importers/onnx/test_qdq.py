"""Quantized networks in the QDQ form: stored integers, within a step of what the file says in real numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnetdsl
from mnetdsl.diagnostics import MnetError
from mnetdsl.exporters.onnx import write_onnx
from mnetdsl.importers.onnx import import_bytes
from mnetdsl.importers.tflite import import_tflite
from tests.importers.onnx.networks import Net, both, imported, text
from tests.real_data import tflite

SCALE = 0.03
Numbers = tuple[float, int]


class Stored(Net):
    """A net whose tensors lie between QuantizeLinear and DequantizeLinear, of `kind` in activations and `weights`."""

    def __init__(self, kind: Any = np.int8, weights: Any = np.int8, **arguments: Any) -> None:
        super().__init__(opset=19, **arguments)
        self.kind = kind
        self.weights = weights

    def quantized(self, x: str, scale: float = SCALE, point: int = 0) -> str:
        numbers = (self.array(scale), self.array(point, self.kind))
        return self.node("QuantizeLinear", x, *numbers)

    def real(self, q: str, scale: float = SCALE, point: int = 0) -> str:
        return self.node("DequantizeLinear", q, self.array(scale), self.array(point, self.kind))

    def stored(self, x: str, scale: float = SCALE, point: int = 0) -> str:
        return self.real(self.quantized(x, scale, point), scale, point)

    def qconv(self, x: str, inputs: int, outputs: int, kernel: int = 1, groups: int = 1, source: float = SCALE) -> str:
        """A convolution with quantized weights and bias on a tensor of scale `source`."""
        unsigned = self.weights is np.uint8
        point = 119 if unsigned else 0
        shape = (outputs, inputs // groups, kernel, kernel)
        array = self.random.integers(0 if unsigned else -127, 255 if unsigned else 128, shape)
        scales = np.array(0.004) if unsigned else self.random.uniform(0.002, 0.006, outputs)
        points = np.full(scales.shape, point)
        axis = {} if unsigned else {"axis": 0}
        filter = self.node(
            "DequantizeLinear",
            self.array(array, self.weights),
            self.array(scales),
            self.array(points, self.weights),
            **axis,
        )
        bias = self.array(self.random.integers(-900, 900, outputs), np.int32)
        bias = self.node("DequantizeLinear", bias, self.array(source * scales), **axis)
        return self.node("Conv", x, filter, bias, pads=[kernel // 2] * 4, group=groups)


def within_a_step(net: Net, folder: Path, scale: float) -> None:
    for name, (ours, theirs) in both(net, folder).items():
        assert ours.shape == theirs.shape
        difference = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max()
        assert difference <= scale * 1.01, name


KINDS: dict[str, tuple[type[np.integer[Any]], type[np.integer[Any]], int]] = {
    "int8": (np.int8, np.int8, -5),
    "uint8 with int8 weights": (np.uint8, np.int8, 120),
}
KINDS["uint8"] = (np.uint8, np.uint8, 120)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("act", ["none", "Relu", "Clip"])
def test_one_layer_differs_by_a_step_at_most(kind: str, act: str, tmp_path: Path) -> None:
    activations, weights, point = KINDS[kind]
    net = Stored(activations, weights)
    x = net.stored("input", 0.02, point)
    x = net.qconv(x, 3, 8, 3, source=0.02)
    if act != "none":
        x = net.node(act, x, *([net.array(0.0), net.array(6.0)] if act == "Clip" else []))
    low = point if act == "none" else int(np.iinfo(activations).min)
    net.output(net.quantized(x, SCALE, low), "map", "uint8" if activations is np.uint8 else "int8")
    within_a_step(net, tmp_path, 1.0)


def test_depthwise_sums_means_and_dense_layers(tmp_path: Path) -> None:
    net = Stored()
    x = net.stored(net.node("Relu", net.qconv(net.stored("input"), 3, 8, 3)), SCALE, -128)
    y = net.stored(net.qconv(x, 8, 8, 3, groups=8), 0.05, 3)
    x = net.stored(net.node("Add", x, y), 0.06, 1)
    x = net.stored(net.node("GlobalAveragePool", x), 0.02, 0)
    x = net.node("Flatten", x)
    filter = net.node(
        "DequantizeLinear",
        net.array(net.random.integers(-127, 128, (8, 4)), np.int8),
        net.array(0.01),
        net.array(0, np.int8),
    )
    x = net.node("Gemm", x, filter)
    net.output(net.stored(x, 0.01, 0))
    within_a_step(net, tmp_path, 0.01 * 3)
    assert '"output logits"' in text(net)
    assert "f32" in text(net)


def test_moves_keep_their_numbers_and_functions_have_their_own(tmp_path: Path) -> None:
    net = Stored()
    x = net.stored(net.qconv(net.stored("input"), 3, 8, 3), SCALE, 0)
    x = net.stored(net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), SCALE, 0)
    x = net.stored(net.node("HardSwish", x), 0.028, -110)
    x = net.stored(
        net.node(
            "Mul", x, net.node("DequantizeLinear", net.array(64, np.int8), net.array(0.01), net.array(0, np.int8))
        ),
        0.02,
        -100,
    )
    net.output(net.quantized(net.node("Concat", x, x, axis=1), 0.02, -100), "map", "int8")
    within_a_step(net, tmp_path, 2.0)


def test_a_number_that_stayed_real_is_stored(tmp_path: Path) -> None:
    net = Stored()
    x = net.stored(net.qconv(net.stored("input"), 3, 8, 3), SCALE, 0)
    x = net.node("Div", x, net.array(6.0))
    net.output(net.quantized(x, 0.005, 0), "map", "int8")
    within_a_step(net, tmp_path, 1.0)


def test_pixels_are_those_of_a_byte_input(tmp_path: Path) -> None:
    net = Stored(np.uint8, element="uint8")
    x = net.qconv(net.real("input", 0.0078125, 128), 3, 4, 3, source=0.0078125)
    net.output(net.quantized(x, SCALE, 128), "map", "uint8")
    within_a_step(net, tmp_path, 1.0)
    assert "mean = 128.0, std = 128.0" in text(net)
    assert "uint8 tensors are stored as int8, 128 less in every number" in imported(net).notes


def test_a_channel_without_weights_gets_a_scale_that_its_bias_fits(tmp_path: Path) -> None:
    net = Stored()
    scales = np.array([0.004, 1e-9])
    weights = np.stack([net.random.integers(-127, 128, (3, 1, 1)), np.full((3, 1, 1), 127)])
    filter = net.node(
        "DequantizeLinear", net.array(weights, np.int8), net.array(scales), net.array([0, 0], np.int8), axis=0
    )
    bias = net.node("DequantizeLinear", net.array([100, 2**31 - 1000], np.int32), net.array(scales * SCALE), axis=0)
    x = net.node("Conv", net.stored("input"), filter, bias)
    net.output(net.quantized(x, SCALE, 0), "map", "int8")
    within_a_step(net, tmp_path, 1.0)


@pytest.mark.parametrize(
    ("scale", "point", "code"),
    [(0.0, 0, "MN1707"), (-1.0, 0, "MN1707"), (float("nan"), 0, "MN1707"), (1e-46, 0, "MN1707")],
)
def test_scales_that_are_none(scale: float, point: int, code: str) -> None:
    net = Stored()
    net.output(net.stored(net.qconv(net.stored("input"), 3, 4), scale, point))
    with pytest.raises(MnetError) as refused:
        imported(net)
    assert refused.value.diagnostics[0].code == code


def test_half_a_network_in_float_is_refused_by_name() -> None:
    net = Stored()
    x = net.stored(net.qconv(net.stored("input"), 3, 4))
    x = net.node("Sigmoid", x)
    net.output(net.stored(net.qconv(x, 4, 4)))
    with pytest.raises(MnetError) as refused:
        imported(net)
    assert {problem.code for problem in refused.value.diagnostics} == {"MN1704"}
    assert "one side of it is quantized" in refused.value.diagnostics[0].message


@pytest.mark.parametrize("name", ["vww_96_int8", "mobilenet_v3_small_224_tf2_ptq_int8", "mobilenet_v1_0.25_224_quant"])
def test_an_exported_int8_network_is_imported_with_the_same_bits(name: str, tmp_path: Path) -> None:
    first = import_tflite(tflite(name))
    for file, data in first.files.items():
        (tmp_path / file).write_bytes(data)
    network = mnetdsl.load(tmp_path / f"{first.name}.mnet").with_weights()
    again = import_bytes(write_onnx(network.module), f"{first.name}.onnx")
    assert again.files[f"{first.name}.safetensors"] == first.files[f"{first.name}.safetensors"]
    (tmp_path / "again").mkdir()
    for file, data in again.files.items():
        (tmp_path / "again" / file).write_bytes(data)
    (port,) = network.module.graph.inputs
    pixels = {port.name: np.random.default_rng(1).integers(0, 256, port.value.type.shape).astype(np.uint8)}
    ours = network.run(pixels)
    theirs = mnetdsl.load(tmp_path / "again").with_weights().run(pixels)
    assert {name: array.tolist() for name, array in theirs.items()} == {name: a.tolist() for name, a in ours.items()}
