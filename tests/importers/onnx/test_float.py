"""Float networks of ONNX: blocks are found, channels go last without a transpose left, numbers agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnetdsl
from mnetdsl.exporters.onnx import to_onnx, write_onnx
from mnetdsl.importers.onnx import import_bytes, import_onnx
from mnetdsl.quantize.apply import quantizable
from tests.importers.onnx.networks import SIZE, Net, agree, both, imported, mobile, text
from tests.real_data import real

ACTIVATIONS = {
    "Relu": "relu",
    "Clip": "relu6",
    "HardSwish": "hard_swish",
    "by hand": "hard_swish",
    "gated": "hard_swish",
    "silu": "silu",
}
MOVES = ("transpose(", "reshape(", "batch_norm(", "pad(")


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("norm", [False, True])
def test_a_mobilenet_is_its_blocks_with_norms_folded(act: str, norm: bool, tmp_path: Path) -> None:
    net = mobile(act, norm=norm)
    agree(net, tmp_path)
    written = text(net)
    assert "for row in body" in written
    assert ACTIVATIONS[act] in written
    assert not any(move in written for move in MOVES)


def test_squeeze_and_excite_is_a_block(tmp_path: Path) -> None:
    net = mobile("HardSwish", norm=True, gate=True)
    agree(net, tmp_path)
    assert "block squeeze_excite(" in text(net)
    assert "hard_sigmoid" in text(net)


@pytest.mark.parametrize("opset", [13, 15, 20])
def test_versions_of_the_operators(opset: int, tmp_path: Path) -> None:
    agree(mobile("Clip", opset=opset), tmp_path)


def test_layers_of_all_geometries(tmp_path: Path) -> None:
    net = Net(2, size=17)
    x = net.node("Conv", "input", net.noise(8, 3, 3, 5), strides=[2, 1], pads=[0, 1, 2, 3], dilations=[1, 2])
    x = net.node("Conv", x, net.noise(16, 1, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2], group=8)
    x = net.node("Conv", x, net.noise(4, 16, 1, 1), auto_pad="SAME_LOWER")
    net.output(x, "map")
    agree(net, tmp_path)


@pytest.mark.parametrize("ceil", [0, 1])
def test_pools(ceil: int, tmp_path: Path) -> None:
    net = Net(3, size=15)
    x = net.conv("input", 3, 8, 3)
    largest = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=ceil)
    mean = net.node("AveragePool", largest, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0], ceil_mode=ceil)
    net.output(mean, "mean")
    whole = net.node("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    net.output(whole, "whole")
    net.output(net.node("ReduceMean", x, net.array([2, 3], np.int64), keepdims=0), "features")
    agree(net, tmp_path)


def test_joins_parts_and_sizes(tmp_path: Path) -> None:
    net = Net(4)
    x = net.conv("input", 3, 8, 3)
    parts = net.node("Split", x, net.array([3, 5], np.int64), axis=1, outputs=2)
    joined = net.node("Concat", f"{parts}_1", parts, axis=1)
    part = net.node(
        "Slice", joined, net.array([1, 2], np.int64), net.array([-1, 9], np.int64), net.array([2, 1], np.int64)
    )
    padded = net.node("Pad", part, net.array([0, 0, 1, 0, 0, 0, 2, 1], np.int64), net.array(0.5))
    net.output(padded, "padded")
    net.output(net.node("Softmax", x, axis=1), "shares")
    agree(net, tmp_path)


def test_features_in_the_files_order_are_reordered_in_the_weights(tmp_path: Path) -> None:
    """Flatten of [C, H, W] lists channels first: the classifier's rows move instead of the map."""
    net = Net(5)
    x = net.conv("input", 3, 4, 3, 2)
    x = net.node("Reshape", x, net.array([1, -1], np.int64))
    x = net.node("MatMul", x, net.noise(4 * SIZE * SIZE // 4, 6))
    net.output(net.node("Add", x, net.noise(6)))
    agree(net, tmp_path)
    assert "transpose" not in text(net)
    assert text(net).count("dense(") == 1


def test_shapes_that_the_file_computes_are_constants(tmp_path: Path) -> None:
    net = Net(6)
    x = net.conv("input", 3, 4, 3, 2)
    batch = net.node("Gather", net.node("Shape", x), net.array(0, np.int64))
    sizes = net.node(
        "Concat", net.node("Unsqueeze", batch, net.array([0], np.int64)), net.array([-1], np.int64), axis=0
    )
    net.output(net.node("Gemm", net.node("Reshape", x, sizes), net.noise(4 * SIZE * SIZE // 4, 6)))
    agree(net, tmp_path)


def test_a_scale_without_a_layer_in_front_is_one_of_its_own(tmp_path: Path) -> None:
    net = Net(7)
    x = net.node("Relu", net.conv("input", 3, 24, 3))
    net.output(net.norm(x, 24), "map")
    agree(net, tmp_path)


def test_pixels_that_the_file_normalizes_are_declared(tmp_path: Path) -> None:
    net = Net(8, element="uint8")
    x = net.node("Cast", "input", to=1)
    x = net.node("Sub", x, net.array(np.array([120.0, 115.0, 100.0]).reshape(1, 3, 1, 1)))
    x = net.node("Div", x, net.array(np.array([60.0, 59.0, 58.0]).reshape(1, 3, 1, 1)))
    net.output(net.conv(x, 3, 4, 3), "map")
    for ours, theirs in both(net, tmp_path).values():
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    written = text(net)
    assert "mean = [120.0, 115.0, 100.0]" in written
    assert "std = [60.0, 59.0, 58.0]" in written


def test_what_is_assumed_of_pixels_is_said() -> None:
    net = mobile()
    assert "assumption" in imported(net).notes[0]
    assert imported(net, mean=(1.0,), std=(2.0,)).notes == ()
    net.metadata |= {"mnetdsl.input.mean": "1.5", "mnetdsl.input.std": "20.0"}
    assert imported(net).notes == ()
    assert "mean = 1.5" in text(net)


def test_the_same_file_gives_the_same_files() -> None:
    assert imported(mobile("HardSwish", gate=True)).files == imported(mobile("HardSwish", gate=True)).files


ZOO: dict[str, dict[str, Any]] = {
    "mobilenet_v1": {"alpha": 0.25, "resolution": 32},
    "mobilenet_v2": {"alpha": 0.35, "resolution": 32},
    "mobilenet_v3_small": {"resolution": 32},
    "mobilenet_edgetpu": {"resolution": 32},
    "mobilenet_v4_conv_small": {"resolution": 32},
}
HYBRID = "mobilenet_v4_hybrid_medium"


@pytest.mark.parametrize("name", ZOO)
def test_an_exported_network_of_the_zoo_is_imported_as_the_same(name: str, tmp_path: Path) -> None:
    network = mnetdsl.load(name, **ZOO[name]).with_weights("random:1")
    module = quantizable(network.module)
    for file, data in import_bytes(write_onnx(module), f"{name}.onnx").files.items():
        (tmp_path / file).write_bytes(data)
    again = mnetdsl.load(tmp_path / f"{name}.mnet").with_weights()
    image = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    ours, theirs = (each.run({"image": image}) for each in (network, again))
    assert ours.keys() == theirs.keys()
    for key in ours:
        np.testing.assert_array_equal(theirs[key], ours[key])
    assert not any(move in (tmp_path / f"{name}.mnet").read_text() for move in ("transpose(", "batch_norm("))


def test_attention_is_imported(tmp_path: Path) -> None:
    network = mnetdsl.load(HYBRID, resolution=64).with_weights("random:1")
    for file, data in import_bytes(write_onnx(quantizable(network.module)), "net.onnx").files.items():
        (tmp_path / file).write_bytes(data)
    again = mnetdsl.load(tmp_path / "net.mnet").with_weights()
    image = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    expected = network.run({"image": image})["logits"].astype(np.float32)
    np.testing.assert_allclose(
        again.run({"image": image})["logits"].astype(np.float32), expected, atol=1e-5 * float(np.abs(expected).max())
    )


def test_heads_that_share_keys_and_values(tmp_path: Path) -> None:
    """As timm writes multi-query attention: heads are a dimension of the queries alone."""
    net = Net(9)
    x = net.conv("input", 3, 12, 3, 2)
    query = net.node("Reshape", net.conv(x, 12, 8), net.array([1, 2, 4, -1], np.int64))
    query = net.node("Mul", net.node("Transpose", query, perm=[0, 1, 3, 2]), net.array(0.5))
    key = net.node("Reshape", net.conv(x, 12, 4), net.array([1, 1, 4, -1], np.int64))
    value = net.node("Reshape", net.conv(x, 12, 4), net.array([1, 1, 4, -1], np.int64))
    shares = net.node("Softmax", net.node("MatMul", query, key), axis=-1)
    y = net.node("MatMul", shares, net.node("Transpose", value, perm=[0, 1, 3, 2]))
    y = net.node("Transpose", y, perm=[0, 1, 3, 2])
    y = net.node("Reshape", y, net.array([1, 8, SIZE // 2, SIZE // 2], np.int64))
    net.output(net.conv(y, 8, 4), "map")
    agree(net, tmp_path)


def test_preprocessing_inside_an_exported_file_is_the_declaration_again(tmp_path: Path) -> None:
    network = mnetdsl.load("mobilenet_v1", alpha=0.25, resolution=32).with_weights("random:1")
    for file, data in import_bytes(to_onnx(network.optimized()), "v1.onnx").files.items():
        (tmp_path / file).write_bytes(data)
    assert "mean = 127.5, std = 127.5" in (tmp_path / "v1.mnet").read_text()


@pytest.mark.parametrize(
    "name", ["mobilenet_v2_person_128_float", "mobilenetv4_conv_small_0.5_cifar10_SELFTRAINED_float"]
)
def test_models_that_people_trained(name: str, tmp_path: Path) -> None:
    imported = import_onnx(real(f"models/{name}.onnx"))
    for file, data in imported.files.items():
        (tmp_path / file).write_bytes(data)
    assert mnetdsl.check(tmp_path) == ()
    assert mnetdsl.load(tmp_path).with_weights().module.resources
    assert not any(move in (tmp_path / f"{imported.name}.mnet").read_text() for move in MOVES)
