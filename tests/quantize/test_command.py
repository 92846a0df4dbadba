"""`mnet quantize`: a folder of images in, a folder of an int8 network and a report out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnetdsl.cli.main import main
from mnetdsl.weights import save_weights
from tests.quantize.networks import network, save_pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    net = network(tmp_path / "net")
    save_weights(tmp_path / "w.safetensors", net.module.resources)
    save_pictures(tmp_path / "photos", 5)
    return tmp_path


def arguments(folder: Path, *more: str) -> list[str]:
    files = ["--weights", str(folder / "w.safetensors"), "--calibrate", str(folder / "photos")]
    return ["quantize", str(folder / "net"), *files, "-o", str(folder / "int8"), *more]


def test_the_report_names_every_tensor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder)) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].split()[:3] == ["TENSOR", "TYPE", "RANGES"]
    assert "classifier" in shown.out
    assert "5 images tell little of what the network will see: take some 100" in shown.out
    assert "net_int8.mnet" in shown.err
    assert main(["check", str(folder / "int8")]) == 0


def test_the_report_for_scripts_is_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder, "--limit", "3", "--int16", "last", "--format", "json")) == 0
    found = json.loads(capsys.readouterr().out)
    types = {row["tensor"]: row["type"] for row in found["tensors"]}
    assert found["images"] == 3
    assert types["last"] == "i16"
    assert types["swish"] == "i8"
    assert all(row["clipped"] <= 0.05 for row in found["tensors"])


def test_an_earlier_result_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder)) == 0
    assert main(arguments(folder)) == 1
    assert "MN0910" in capsys.readouterr().err
    assert main(arguments(folder, "--force")) == 0


def test_weights_that_are_not_numbers_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = network(folder / "net")
    broken = {name: array.copy() for name, array in net.module.resources.items()}
    broken["last.weight"][0, 0, 0, 0] = float("nan")
    save_weights(folder / "w.safetensors", broken)
    assert main(arguments(folder)) == 1
    assert "MN0706" in capsys.readouterr().err
