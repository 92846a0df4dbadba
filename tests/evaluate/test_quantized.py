"""Imported 8-bit networks: the same logits on every backend, the accuracy of other engines, a float network beside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnetdsl.cli.main import main
from mnetdsl.evaluate import read_saved
from tests.real_data import DATA, tflite
from tests.toolchain import require

pytest.importorskip("ai_edge_litert")

PHOTOS = DATA / "images" / "imagenet"
PEOPLE = DATA / "images" / "coco"
SLIM = ["--resize", "stretch", "--central", "0.875"]


def imported(name: str, folder: Path) -> str:
    output = folder / name
    assert main(["import", str(tflite(name)), "-o", str(output)]) == 0
    return str(output)


@pytest.mark.parametrize("on", ["c", "iree-cpu", "qemu:cortex-m4"])
def test_an_imported_8_bit_network_has_the_same_logits_on_every_backend(tmp_path: Path, on: str) -> None:
    if on == "c":
        require("gcc")
    elif on == "iree-cpu":
        pytest.importorskip("iree.compiler")
    else:
        require("arm-none-eabi-gcc")
        require("qemu-system-arm")
    network = imported("vww_96_int8", tmp_path)
    how = ["--data", str(PEOPLE), "--labels", str(PEOPLE / "labels.csv"), "--label-column", "vww_person"]
    saved: list[NDArray[Any]] = []
    for backend in ("numpy", on):
        file = tmp_path / f"{len(saved)}.npz"
        options = ["--on", backend, "--topk", "1", "--skip", "3", "--limit", "4", "--output", str(file)]
        assert main(["evaluate", network, *how, *options]) == 0
        saved.append(read_saved(file).logits)
    first, second = saved
    assert np.array_equal(first, second)
    assert np.ptp(saved[0]) > 0


def evaluated(capsys: pytest.CaptureFixture[str], network: str, *options: str) -> dict[str, Any]:
    capsys.readouterr()
    how = ["--data", str(PHOTOS), "--labels", str(PHOTOS / "labels.csv"), "--on", "c", "--format", "json", *SLIM]
    assert main(["evaluate", network, *how, *options]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_an_8_bit_network_is_set_beside_its_float_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require("gcc")
    quantized = imported("mobilenet_v1_0.25_224_quant", tmp_path)
    float_ = imported("mobilenet_v1_0.25_224_float", tmp_path)
    result = evaluated(capsys, quantized, "--skip", "100", "--limit", "12", "--compare", float_)
    compared = result["compare"]
    assert result["images"] == 12
    assert compared["both"] + compared["only_this"] + compared["only_other"] + compared["neither"] == 12
    assert compared["both"] + compared["only_this"] == result["top"][0]["right"]
    assert compared["agree"] >= 6
    assert compared["interval"][0] <= compared["difference"] <= compared["interval"][1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("mobilenet_v1_0.25_224_float", 169),
        ("mobilenet_v1_0.25_224_quant", 163),
        ("mobilenet_v3_small_224_1.0_uint8", 222),
    ],
)
def test_the_accuracy_is_that_of_other_engines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, right: int
) -> None:
    """Of 300 photographs, by LiteRT without delegates (data/README.md); a few turn with the code that resizes them."""
    require("gcc")
    result = evaluated(capsys, imported(name, tmp_path))
    assert result["images"] == 300
    assert abs(result["top"][0]["right"] - right) <= 3
