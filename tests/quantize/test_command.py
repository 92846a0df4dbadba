"""`mnet quantize`: a folder of images in, a folder of an int8 network and a report out."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

import mnetdsl
from mnetdsl.cli.main import main
from mnetdsl.cli.quantize import shares_of_all
from mnetdsl.quantize.quantizer import Settings
from mnetdsl.weights import save_weights
from tests.quantize.networks import network, pictures, save_pictures


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


@pytest.mark.parametrize("scale", [0.0, -0.5])
def test_weight_scales_that_are_none_are_refused(
    folder: Path, scale: float, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(folder)) == 0
    written = mnetdsl.load(folder / "int8").with_weights()
    arrays = {name: array.copy() for name, array in written.module.resources.items()}
    arrays["last.weight_scale"][2] = scale
    save_weights(folder / "int8" / "net_int8.safetensors", arrays)
    assert main(["run", str(folder / "int8"), "--input", "random:1"]) == 1
    shown = capsys.readouterr().err
    assert "MN0716" in shown
    assert f"last.weight_scale  {scale} at [2]" in shown


def test_a_scale_of_zero_in_the_table_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder)) == 0
    path = folder / "int8" / "net_int8.mnet"
    text = path.read_text()
    row = next(line for line in text.splitlines() if '"last"' in line)
    path.write_text(text.replace(row, row.replace(row.split()[2], "0.0")))
    assert main(["check", str(path)]) == 1
    assert "MN1801" in capsys.readouterr().err


@pytest.mark.parametrize(("mode", "said"), [("L", "grayscale"), ("CMYK", "CMYK")])
def test_a_photograph_of_other_colors_is_named(
    folder: Path, mode: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new(mode, (24, 24)).save(folder / "photos" / "odd.jpg")
    assert main(arguments(folder)) == 1
    shown = capsys.readouterr().err
    assert "MN0804" in shown
    assert said in shown
    assert "odd.jpg" in shown


def test_one_photograph_is_enough_and_is_said_to_be_little(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder, "--limit", "1")) == 0
    assert "one image tells little" in capsys.readouterr().out


def shown_shares(folder: Path, settings: Settings, stop: str = "") -> list[float]:
    """What a progress bar shows, until the stage `stop`."""
    shown: list[float] = []
    follow = shares_of_all(lambda stage, share: shown.append(share))

    def progress(stage: str, share: float) -> None:
        if stage == stop:
            raise KeyboardInterrupt
        follow(stage, share)

    with suppress(KeyboardInterrupt):
        network(folder / "net").quantize(pictures(5), folder / "int8", settings=settings, progress=progress)
    return shown


@pytest.mark.parametrize("settings", [Settings(), Settings(equalize=False, observer="mse"), Settings(widest=1)])
def test_the_bar_never_goes_back_and_ends_full(tmp_path: Path, settings: Settings) -> None:
    shown = shown_shares(tmp_path, settings)
    assert shown == sorted(shown)
    assert shown[-1] == pytest.approx(1.0)


def test_the_bar_of_a_run_that_goes_on_ends_full_as_well(tmp_path: Path) -> None:
    first = shown_shares(tmp_path, Settings(), stop="rounding weights")
    assert 0.0 < first[-1] < 0.9
    assert shown_shares(tmp_path, Settings())[-1] == pytest.approx(1.0)


def test_whoever_interrupts_is_told_how_to_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("mnetdsl.quantize.quantizer.tune", interrupt)
        assert main(arguments(folder)) == 130
    assert "net_int8.partial.npz holds what was found: the same command goes on from there" in capsys.readouterr().err
    assert main(arguments(folder)) == 0
    assert not (folder / "int8" / "net_int8.partial.npz").exists()


def test_a_quantized_output_is_shown_as_the_numbers_it_stands_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(folder)) == 0
    assert main(["run", str(folder / "int8"), "--input", "random:1", "--top", "10"]) == 0
    shown = capsys.readouterr().out.splitlines()[-10:]
    assert main(["run", str(folder / "int8"), "--input", "random:1", "--top", "10", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["outputs"]["logits"]
    assert found["element"] == "int8"
    stored = [entry["value"] for entry in found["top"][0]]
    assert stored == [round(value) for value in stored]
    real = [(value - found["zero_point"]) * found["scale"] for value in stored]
    assert [float(line.split()[0]) for line in shown] == pytest.approx(real, rel=1e-5)
    assert max(abs(value) for value in real) != max(abs(value) for value in stored)
