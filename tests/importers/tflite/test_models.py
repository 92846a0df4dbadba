"""Models that people deploy: each is imported, checks, and is the network of its file operation for operation."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

import mnetdsl
from mnetdsl.importers.result import Imported
from mnetdsl.importers.tflite import import_tflite
from tests.real_data import tflite

MODELS = (
    "coco_ssd_mobilenet_v1_1.0_quant",
    "deeplabv3_mnv2_257_float",
    "deeplabv3_mnv2_dm05_pascal_quant",
    "mobilenet_v1_0.25_224_float",
    "mobilenet_v1_0.25_224_quant",
    "mobilenet_v2_1.0_224_quant",
    "mobilenet_v3_small_224_1.0_uint8",
    "mobilenet_v3_small_224_tf2_ptq_int8",
    "tf2_mobilenet_v2_1.0_224_ptq",
    "vww_96_float",
    "vww_96_int8",
)
FLOAT = ("vww_96_float", "mobilenet_v1_0.25_224_float")
QUANTIZED = {
    "vww_96_int8": 31,
    "mobilenet_v1_0.25_224_quant": 31,
    "mobilenet_v3_small_224_tf2_ptq_int8": 110,
    "mobilenet_v3_small_224_1.0_uint8": 118,
    "tf2_mobilenet_v2_1.0_224_ptq": 66,
    "mobilenet_v2_1.0_224_quant": 66,
    "coco_ssd_mobilenet_v1_1.0_quant": 62,
    "deeplabv3_mnv2_dm05_pascal_quant": 72,
}
"""Models -> tensors that are compared besides the outputs: all but those that a pad or an identity leaves out."""
QUICK = ("vww_96_int8", "mobilenet_v1_0.25_224_quant")


@cache
def imported(name: str) -> Imported:
    return import_tflite(tflite(name))


def folder(name: str, place: Path) -> Path:
    for file, data in imported(name).files.items():
        (place / file).write_bytes(data)
    return place


@pytest.mark.parametrize("name", MODELS)
def test_a_model_checks_loads_its_weights_and_is_the_same_bytes_again(name: str, tmp_path: Path) -> None:
    """The import itself compares the built graph with the operators of the file, one by one, and stops where an
    operand, a size or an attribute differs."""
    place = folder(name, tmp_path)
    assert mnetdsl.check(place) == ()
    assert mnetdsl.load(place).with_weights().module.resources
    assert import_tflite(tflite(name)).files == imported(name).files


def table(name: str, title: str) -> list[list[str]]:
    found = re.search(rf"table {title} {{\n(.*?)\n  }}", imported(name).files[_file(name)].decode(), re.DOTALL)
    assert found is not None
    return [line.split() for line in found[1].splitlines()]


def _file(name: str) -> str:
    return f"{imported(name).name}.mnet"


def test_mobilenet_v2_is_the_table_of_its_paper() -> None:
    assert table("tf2_mobilenet_v2_1.0_224_ptq", "body") == [
        ["expansion", "channels", "stride", "repeat"],
        *(
            row.split()
            for row in ("1 16 1 1", "6 24 2 2", "6 32 2 3", "6 64 2 4", "6 96 1 3", "6 160 2 3", "6 320 1 1")
        ),
    ]
    assert table("mobilenet_v2_1.0_224_quant", "body") == table("tf2_mobilenet_v2_1.0_224_ptq", "body")


def test_mobilenet_v1_is_a_stem_a_table_and_a_classifier() -> None:
    assert [row[:2] for row in table("vww_96_int8", "body")[1:]] == [
        ["16", "1"],
        ["32", "2"],
        ["64", "2"],
        ["128", "2"],
        ["256", "2"],
    ]
    assert (
        "block separable(x: tensor, channels: int, stride: int = 1) {"
        in imported("vww_96_int8").files["vww_96_int8.mnet"].decode()
    )


def test_numbers_of_pixels_come_from_the_input_tensor() -> None:
    assert "mean = 0.0, std = 255.0" in imported("vww_96_int8").files["vww_96_int8.mnet"].decode()
    name = "tf2_mobilenet_v2_1.0_224_ptq"
    assert "mean = 127.0, std = 127.5" in imported(name).files[_file(name)].decode()


def test_labels_of_the_metadata_are_kept() -> None:
    files = imported("tf2_mobilenet_v2_1.0_224_ptq").files
    labels = files["tf2_mobilenet_v2_1_0_224_ptq_probabilities.txt"].decode().splitlines()
    assert (len(labels), labels[:2]) == (1001, ["background", "tench, Tinca tinca"])


@pytest.mark.parametrize("name", FLOAT)
def test_every_tensor_of_a_float_model_is_tensorflow_lites(name: str, tmp_path: Path) -> None:
    network = mnetdsl.load(folder(name, tmp_path)).with_weights()
    report = network.validate_against(tflite(name), ["numpy", "c"])
    assert report.agrees, [str(each) for each in report.diagnostics()]
    assert min(len(backend.layers) for backend in report.backends) >= 29


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in QUANTIZED]
)
def test_every_tensor_of_a_quantized_model_has_tensorflow_lites_bits(name: str, tmp_path: Path) -> None:
    network = mnetdsl.load(folder(name, tmp_path)).with_weights()
    report = network.validate_against(tflite(name), ["numpy"])
    assert report.agrees, [str(each) for each in report.diagnostics()]
    assert report.tolerance == 0
    assert len(report.backends[0].layers) == QUANTIZED[name]


def test_hard_swish_and_gates_of_mobilenet_v3_are_one_block() -> None:
    written = imported("mobilenet_v3_small_224_tf2_ptq_int8").files["mobilenet_v3_small_224_tf2_ptq_int8.mnet"].decode()
    assert written.count("block ") == 2
    assert table("mobilenet_v3_small_224_tf2_ptq_int8", "body")[0] == [
        *("kernel", "expanded", "channels", "reduced", "act", "stride", "repeat")
    ]
