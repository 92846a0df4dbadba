"""`mnet export`: files that other tools read, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mnetdsl
from mnetdsl import exporters
from mnetdsl.cli.main import main
from mnetdsl.diagnostics import MnetError
from mnetdsl.importers.tflite import import_bytes, import_tflite
from tests.exporters.needs import need
from tests.real_data import tflite

NET = """mnet 1

model net() {
  input image: u8[16, 16, 3] { color = rgb, mean = [120.0, 110.0, 100.0], std = [60.0, 59.0, 58.0] }
  x = conv2d(image, 8, kernel = 3, stride = 2) as stem
  x = hard_swish(x)
  x = depthwise_conv2d(x, stride = 2, padding = [1, 1, 1, 1]) as depthwise
  output logits = dense(global_avg_pool(relu6(x)), 4) as classifier
}
"""


Captured = pytest.CaptureFixture[str]


def call(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.mnet"
    path.write_text(NET)
    return path


def test_a_float_network_is_imported_again_with_its_pixels_and_its_bits(
    net: Path, tmp_path: Path, capsys: Captured
) -> None:
    need("ai_edge_litert", "flatbuffers")
    assert call("export", net, "--weights", "random:1", "-o", tmp_path / "out.tflite") == 0
    assert "(pixel - 120, 110, 100) / 60, 59, 58" in capsys.readouterr().out
    imported = import_tflite(tmp_path / "out.tflite")
    for name, data in imported.files.items():
        (tmp_path / name).write_bytes(data)
    image = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    expected = mnetdsl.load(net).with_weights("random:1").run({"image": image})["logits"]
    found = mnetdsl.load(tmp_path / "out.mnet").with_weights().run({"image": image})["logits"]
    np.testing.assert_array_equal(found, expected)


def test_every_layer_of_a_float_export_is_validated(net: Path, tmp_path: Path, capsys: Captured) -> None:
    need("ai_edge_litert", "flatbuffers")
    call("export", net, "--weights", "random:1", "--to", "tflite", "-o", tmp_path / "out.tflite")
    capsys.readouterr()
    assert call("validate", net, "--weights", "random:1", "--against", tmp_path / "out.tflite", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["backends"][0]["layers"]


@pytest.mark.parametrize("name", ["vww_96_int8", "mobilenet_v1_0.25_224_quant"])
def test_an_imported_int8_model_written_again_has_the_bits_of_the_first(name: str, tmp_path: Path) -> None:
    need("ai_edge_litert", "flatbuffers")
    path = tflite(name)
    imported = import_tflite(path)
    for file, data in imported.files.items():
        (tmp_path / file).write_bytes(data)
    network = tmp_path / f"{imported.name}.mnet"
    written = tmp_path / "again" / "again.tflite"
    assert call("export", network, "-o", written) == 0
    report = mnetdsl.load(network).with_weights().validate_against(written)
    assert report.agrees
    assert len(report.backends[0].layers) > 25
    again = import_bytes(written.read_bytes(), str(path), name=imported.name)
    same = {file for file, data in imported.files.items() if again.files.get(file) == data}
    assert same >= {f"{imported.name}.safetensors"}


QUANTIZED = """
deploy stored of net {
  table quantization {
    tensor                      type  scale    zero_point  compute
    "image"                       i8  0.0333            3  integer
    "stem"                       i16  0.0002            0  integer
    "hard_swish"                 i16  0.0002            0  integer
    "depthwise"                   i8  0.04           -128  integer
    "global_avg_pool"             i8  0.02           -128  integer
    "classifier"                  i8  0.03              5  integer
    "output logits"              f32  1.0               0  integer
  }
}
"""


@pytest.mark.parametrize("stored", [False, True])
def test_a_table_written_by_hand_has_its_bits_in_every_layer(stored: bool, tmp_path: Path, capsys: Captured) -> None:
    """16 bits between layers of 8, and real numbers at the end; the image normalized or as it is stored."""
    need("ai_edge_litert", "flatbuffers")
    (tmp_path / "net.mnet").write_text(NET + QUANTIZED)
    options = ("--model", "stored", "--weights", "random:1")
    inputs = ["--stored-inputs"] if stored else []
    assert call("export", tmp_path / "net.mnet", *options, "-o", tmp_path / "out.tflite", *inputs) == 0
    assert ("round(" in capsys.readouterr().out) == stored
    against = ("--against", tmp_path / "out.tflite", "--format", "json")
    assert call("validate", tmp_path / "net.mnet", *options, *against) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["tolerance"] == 0
    assert len(report["backends"][0]["layers"]) >= 6


def test_a_float_network_stores_no_inputs(net: Path, tmp_path: Path, capsys: Captured) -> None:
    given = ("--weights", "random:1", "-o", tmp_path / "out.onnx", "--stored-inputs")
    assert call("export", net, *given) == 2
    assert "for quantized networks" in capsys.readouterr().err
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_labels_and_pixels_come_back_from_the_file(format: str, tmp_path: Path) -> None:
    need("ai_edge_litert", "flatbuffers", "onnx")
    labelled = NET.replace("as classifier\n", 'as classifier { labels = ["cat", "dog, small", "Kuh", "é"] }\n')
    assert labelled != NET
    (tmp_path / "net.mnet").write_text(labelled)
    assert call("export", tmp_path / "net.mnet", "--weights", "random:1", "-o", tmp_path / f"out.{format}") == 0
    assert call("import", tmp_path / f"out.{format}", "-o", tmp_path / "again") == 0
    network = mnetdsl.load(tmp_path / "again")
    (image,), (logits,) = network.module.graph.inputs, network.module.graph.outputs
    assert logits.attributes["labels"] == ("cat", "dog, small", "Kuh", "é")
    assert image.attributes["mean"] == (120.0, 110.0, 100.0)
    assert image.attributes["std"] == (60.0, 59.0, 58.0)


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_labels_of_indices_come_back_from_the_file(format: str, tmp_path: Path) -> None:
    need("ai_edge_litert", "flatbuffers", "onnx")
    text = "mnet 1\n\nmodel net() {\n  input image: u8[8, 8, 3] { mean = 127.5, std = 127.5 }\n  x = conv2d(image, 3)\n"
    (tmp_path / "net.mnet").write_text(text + '  output classes = argmax(x) { labels = ["sky", "road", "car"] }\n}\n')
    assert call("export", tmp_path / "net.mnet", "--weights", "random:1", "-o", tmp_path / f"out.{format}") == 0
    assert call("import", tmp_path / f"out.{format}", "-o", tmp_path / "again") == 0
    (classes,) = mnetdsl.load(tmp_path / "again").module.graph.outputs
    assert classes.attributes["labels"] == ("sky", "road", "car")


def test_files_that_exist_are_not_overwritten(net: Path, tmp_path: Path, capsys: Captured) -> None:
    need("ai_edge_litert", "flatbuffers")
    taken = tmp_path / "out.tensors.json"
    taken.write_text("mine")
    assert call("export", net, "--weights", "random:1", "-o", tmp_path / "out.tflite") == 1
    assert "MN0910" in capsys.readouterr().err
    assert taken.read_text() == "mine"
    assert call("export", net, "--weights", "random:1", "-o", tmp_path / "out.tflite", "--force") == 0


@pytest.mark.parametrize(
    "arguments", [("-o", "out.bin"), ("--to", "onnx", "-o", "out.tflite"), ("--to", "coreml", "-o", "out")]
)
def test_a_format_that_is_none_is_a_mistake_of_usage(net: Path, arguments: tuple[str, ...]) -> None:
    assert call("export", net, *arguments) == 2


@pytest.mark.parametrize(("to", "code", "extra"), [("tflite", "MN1701", "tflite"), ("onnx", "MN1706", "onnx")])
def test_a_missing_package_names_its_extra(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, code: str, extra: str
) -> None:
    monkeypatch.setattr(exporters, "find_spec", lambda name: None)
    with pytest.raises(MnetError) as missing:
        mnetdsl.load(net).with_weights("random:1").export(to, tmp_path / f"out.{to}")
    (problem,) = missing.value.diagnostics
    assert problem.code == code
    assert f".[{extra}]" in str(problem.help)
    assert not (tmp_path / f"out.{to}").exists()


def test_without_weights_nothing_is_written(net: Path, tmp_path: Path) -> None:
    need("onnx")
    with pytest.raises(MnetError) as missing:
        mnetdsl.load(net).export("onnx", tmp_path / "out.onnx")
    assert missing.value.diagnostics[0].code == "MN0720"
    assert not (tmp_path / "out.onnx").exists()
