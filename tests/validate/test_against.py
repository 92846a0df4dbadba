"""Imported networks beside TensorFlow Lite's reference kernels: they agree, and where they do not, it is said where."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.api import Network
from mnetdsl.diagnostics import ExitCode, MnetError
from mnetdsl.importers.tflite import import_bytes
from mnetdsl.ir.core import Module
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.validate.against import behind_float, steps_apart, validate_against
from mnetdsl.validate.cases import Cases
from mnetdsl.validate.tflite import Reference, read_map
from tests.backends.c.quantized.layers import Layers
from tests.importers.tflite.models import Maker, mobile, variety
from tests.importers.tflite.test_text import channels_first


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return saved(mobile(), tmp_path)


def saved(maker: Maker, folder: Path) -> Path:
    data = maker.packed()
    (folder / "source").mkdir()
    (folder / "source" / "net.tflite").write_bytes(data)
    for name, content in import_bytes(data, "net.tflite").files.items():
        (folder / name).write_bytes(content)
    return folder


def loaded(folder: Path) -> Network:
    return mnetdsl.load(folder / "net.mnet").with_weights()


def code(folder: Path, tflite: Path) -> str:
    with pytest.raises(MnetError) as caught:
        loaded(folder).validate_against(tflite)
    return caught.value.diagnostics[0].code


def test_a_file_with_channels_first_gets_its_pixels_so(tmp_path: Path) -> None:
    folder = saved(channels_first(), tmp_path)
    assert loaded(folder).validate_against(folder / "source" / "net.tflite").agrees


@pytest.mark.parametrize("make", [mobile, variety])
def test_every_layer_of_a_float_network_agrees(make: type[Maker], tmp_path: Path) -> None:
    folder = saved(make(), tmp_path)
    report = loaded(folder).validate_against(folder / "source" / "net.tflite", ["numpy"])
    assert report.agrees
    assert report.exit_code is ExitCode.OK
    (numpy,) = report.backends
    assert len(numpy.layers) >= 11
    assert max(each.relative for each in numpy.compared) < 1e-5


def test_the_first_layer_that_differs_is_named(place: Path) -> None:
    network = loaded(place)
    weights = dict(network.module.resources)
    weights["body.1.depthwise.weight"] = weights["body.1.depthwise.weight"].astype(np.float32) * np.float32(1.01)
    weights["classifier.weight"] = weights["classifier.weight"].astype(np.float32) * np.float32(2.0)
    module = Module(network.module.name, network.module.graph, weights)
    reference = Reference(str(place / "source" / "net.tflite"), read_map(place / "net.mnet"))
    report = validate_against(module, reference)
    assert report.exit_code is ExitCode.MISMATCH
    (diagnostic,) = report.diagnostics()
    assert diagnostic.code == "MN1312"
    assert "first in `body.1.depthwise`" in diagnostic.message


def test_given_pixels_are_used(place: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    cases = Cases(("a", "b"), {"image": pixels})
    report = loaded(place).validate_against(place / "source" / "net.tflite", inputs=cases)
    assert report.inputs == ("a", "b")
    assert report.agrees


def test_another_file_than_the_imported_one_is_refused(place: Path) -> None:
    other = place / "source" / "other.tflite"
    other.write_bytes(variety().packed())
    assert code(place, other) == "MN1311"


def test_a_file_of_another_kind_is_called_so(place: Path) -> None:
    other = place / "source" / "net.onnx"
    other.write_bytes(b"\x08\x08\x12\x07mnetdsl")
    assert code(place, other) == "MN1702"


def test_a_network_without_map_is_told_to_be_imported(place: Path) -> None:
    (place / "net.tensors.json").unlink()
    assert code(place, place / "source" / "net.tflite") == "MN1310"


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": "another"}', "null", "[" * 100_000])
def test_a_damaged_map_is_refused(place: Path, damage: str) -> None:
    (place / "net.tensors.json").write_text(damage)
    assert code(place, place / "source" / "net.tflite") == "MN1310"


def test_a_map_to_tensors_that_do_not_exist_is_refused(place: Path) -> None:
    path = place / "net.tensors.json"
    described = json.loads(path.read_text())
    described["layers"]["stem"] = 12345
    path.write_text(json.dumps(described))
    assert code(place, place / "source" / "net.tflite") == "MN1313"


def test_what_is_stored_behind_a_float_layer_need_not_have_the_same_bits() -> None:
    layers = Layers(1)
    first = layers.weighted("conv2d", layers.input(4, 4, 4), (1, 1, 4, 4))
    real = layers.op("dequantize", {"input": first})
    function = layers.op("sigmoid", {"input": real})
    stored = layers.op("quantize", {"input": function}, layers.storage())
    last = layers.weighted("conv2d", stored, (1, 1, 4, 4))
    layers.output(last)
    assert behind_float(layers.module) == {function, stored, last}


def test_a_dense_layer_may_be_a_step_apart_as_the_reference_multiplies_its_sums_in_float() -> None:
    layers = Layers(1)
    convolved = layers.weighted("conv2d", layers.input(1, 1, 4), (1, 1, 4, 4))
    vector = layers.op("reshape", {"input": convolved}, shape=(4,))
    dense = layers.weighted("dense", vector, (4, 8))
    layers.output(dense)
    assert behind_float(layers.module) == {dense}


@pytest.mark.parametrize("scale", [0.02, 0.1, 0.5])
def test_a_softmax_may_be_as_far_apart_as_steps_of_its_input_bring_it(scale: float) -> None:
    layers = Layers(1)
    grid = Storage(ElementType.I8, Quantization.per_tensor(scale, 3))
    result = Storage(ElementType.I8, Quantization.per_tensor(1 / 256, -128))
    source = layers.op("requantize", {"input": layers.input(8)}, grid)
    accepted = steps_apart(layers.op("softmax", {"input": source}, result))
    x = np.random.default_rng(2).integers(-100, 100, (2000, 8)) * scale * np.array([0.05, 1.0]).repeat(1000)[:, None]
    moved = np.abs(_softmax(x + scale * np.where(x == x.max(1, keepdims=True), 1, -1)) - _softmax(x)).max() * 256
    assert accepted - 3 < moved < accepted


def _softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(x - x.max(1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return found
