"""`mnet import` as users and scripts see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnetdsl.cli.main import main
from tests.importers.checkpoints import keras_v1, pth, torchvision_v2, write_h5
from tests.real_data import DATA, real
from tests.toolchain import require

REAL = "models/mobilenet_v1_0.25_224_keras.h5"
PHOTOGRAPHS = DATA / "images" / "imagenet"


def test_it_says_what_it_recognized_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_h5(tmp_path / "net.h5", keras_v1(0.25), resolution=128)
    assert main(["import", str(path), "-o", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    lines = [line.split() for line in captured.out.splitlines()]
    assert ["alpha", "0.25"] in [line[:2] for line in lines]
    assert "resolution  128" in captured.out
    assert "stated in the checkpoint" in captured.out
    assert "137 tensors matched, none missing, 0 surplus" in captured.out
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "mobilenet_v1_025_128.mnet",
        "mobilenet_v1_025_128.safetensors",
    ]
    assert main(["check", str(tmp_path / "out")]) == 0
    assert main(["fmt", "--check", str(tmp_path / "out" / "mobilenet_v1_025_128.mnet")]) == 0


def test_an_earlier_import_is_not_overwritten_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_h5(tmp_path / "net.h5", keras_v1())
    arguments = ["import", str(path), "-o", str(tmp_path / "out"), "--name", "mine"]
    assert main(arguments) == 0
    before = (tmp_path / "out" / "mine.safetensors").read_bytes()
    assert main(arguments) == 1
    assert "MN0910" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0
    assert (tmp_path / "out" / "mine.safetensors").read_bytes() == before


def test_json_lists_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.pth").write_bytes(pth({"module." + name: value for name, value in torchvision_v2().items()}))
    output = str(tmp_path / "out")
    assert main(["import", str(tmp_path / "net.pth"), "-o", output, "--format", "json", "--set", "resolution=96"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["network"], report["library"], report["matched"]) == ("mobilenet_v2", "torchvision", 262)
    assert (len(report["counters"]), report["surplus"], report["missing"]) == (52, [], [])
    assert {"name": "resolution", "value": "96", "why": "as you said"} in report["facts"]


def test_what_is_refused_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.pth").write_bytes(pth(torchvision_v2())[:5000])
    assert main(["import", str(tmp_path / "net.pth"), "-o", str(tmp_path / "out")]) == 1
    assert "MN1502" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["import", str(tmp_path / "nett.pth"), "-o", str(tmp_path / "out")]) == 1
    assert "did you mean" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("central", "right"), [("0.875", 176), ("1.0", 169)])
def test_the_real_keras_checkpoint_is_as_accurate_as_in_keras(
    central: str, right: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """keras.applications' own MobileNet with these weights is right on 176 of the 300 photographs (58.7 %).

    Of the whole pictures it is right on 169: the 56.3 % that are stated with the photographs.
    """
    assert main(["import", str(real(REAL)), "-o", str(tmp_path / "v1k")]) == 0
    capsys.readouterr()
    labels = str(PHOTOGRAPHS / "labels.csv")
    how = [
        "--data",
        str(PHOTOGRAPHS),
        "--labels",
        labels,
        "--resize",
        "stretch",
        "--central",
        central,
        "--format",
        "json",
    ]
    assert main(["evaluate", str(tmp_path / "v1k"), *how]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["images"], report["column"]) == (300, "class_1000")
    assert report["top"][0]["right"] == right


@pytest.mark.slow
def test_the_real_keras_checkpoint_validates(tmp_path: Path) -> None:
    """Trained weights have layers whose sums relu6 cuts from a hundred to 6, which random ones do not."""
    require("gcc")
    assert main(["import", str(real(REAL)), "-o", str(tmp_path / "v1k")]) == 0
    assert main(["validate", str(tmp_path / "v1k"), "--on", "c,iree-cpu"]) == 0
