"""`mnet import m.tflite` and `mnet validate --against`, as users and scripts see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnetdsl.cli.main import main
from tests.importers.tflite.models import mobile

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "little net.tflite"
    path.write_bytes(mobile().packed())
    return path


def test_it_says_what_it_found_and_the_result_agrees_with_the_file(source: Path, capsys: Captured) -> None:
    output = str(source.parent / "out")
    assert main(["import", str(source), "-o", output]) == 0
    captured = capsys.readouterr()
    assert "3 x inverted residual" in captured.out
    assert "assumption" in captured.out
    names = sorted(path.name for path in Path(output).iterdir())
    assert names == ["little_net.mnet", "little_net.safetensors", "little_net.tensors.json"]
    assert main(["fmt", "--check", f"{output}/little_net.mnet"]) == 0
    capsys.readouterr()
    assert main(["validate", output, "--against", str(source), "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["agrees"]
    assert [backend["name"] for backend in report["backends"]] == ["numpy"]


def test_a_difference_is_exit_status_4(source: Path, capsys: Captured) -> None:
    output = source.parent / "out"
    assert main(["import", str(source), "-o", str(output), "--name", "mine"]) == 0
    text = (output / "mine.mnet").read_text()
    (output / "mine.mnet").write_text(text.replace("y = x + y", "y = x + relu(y)"))
    assert main(["validate", str(output), "--against", str(source)]) == 4
    error = capsys.readouterr().err
    assert "MN1312" in error
    assert "first in `body." in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["--name", "model"],
        ["--name", "a-b"],
        ["--key", "state_dict"],
        ["--set", "alpha=0.5"],
        ["--mean", "x"],
        ["--std", "0"],
        ["--std", "nan"],
    ],
)
def test_what_makes_no_sense_is_a_mistake_of_usage(source: Path, arguments: list[str], capsys: Captured) -> None:
    assert main(["import", str(source), "-o", str(source.parent / "out"), *arguments]) == 2
    assert not (source.parent / "out").exists()
    assert "MN1401" in capsys.readouterr().err


def test_normalization_is_for_networks_not_for_checkpoints(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "net.pth").write_bytes(b"")
    assert main(["import", str(tmp_path / "net.pth"), "-o", str(tmp_path / "out"), "--mean", "0"]) == 2
    assert "--mean" in capsys.readouterr().err


def test_what_is_refused_writes_nothing(source: Path, capsys: Captured) -> None:
    source.write_bytes(source.read_bytes()[:3000])
    assert main(["import", str(source), "-o", str(source.parent / "out")]) == 1
    assert "MN1702" in capsys.readouterr().err
    assert not (source.parent / "out").exists()
