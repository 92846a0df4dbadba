"""`quantize int8 { … }` of a deployment: what it asks for is done, and the command line goes first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mnetdsl
from mnetdsl.cli.main import main
from mnetdsl.diagnostics import MnetError
from mnetdsl.quantize.quantizer import Settings
from mnetdsl.quantize.requested import requested_settings
from mnetdsl.quantize.tuning import Techniques
from mnetdsl.weights import save_weights
from tests.quantize.networks import NET, network, pictures, save_pictures

DEPLOY = """
deploy small of net() {
  weights = "w.safetensors"
  quantize int8 { SETTINGS }
  target cortex_m4 { ram = RAM }
}
"""
MOST = 'calibrate = "photos/*.png", limit = 3, ranges = percentile(99.5), equalize = false, int16 = ["last"]'


def deployed(folder: Path, settings: str = MOST, ram: str = "64K") -> Path:
    """A folder of the text, its weights, pictures, and a file that is none."""
    net = network(folder / "net")
    save_weights(folder / "net" / "w.safetensors", net.module.resources)
    (folder / "net" / "net.mnet").write_text(NET + DEPLOY.replace("SETTINGS", settings).replace("RAM", ram))
    photos = save_pictures(folder / "net" / "photos", 5)
    (photos / "labels.csv").write_text("file,class\n")
    return folder / "net"


def quantized(folder: Path, *more: str) -> int:
    return main(["quantize", str(folder), "-o", str(folder.parent / "int8"), "--format", "json", *more])


def test_the_deployment_says_images_and_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantized(deployed(tmp_path)) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["tensor"]: row for row in found["tensors"]}
    assert found["images"] == 3
    assert found["equalized"] == []
    assert rows["last"]["type"] == "i16"
    assert rows["stem.conv"]["ranges"] == "percentile"
    assert 0.0 < rows["stem.conv"]["clipped"] <= 0.005


def test_the_command_line_goes_before_the_deployment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = deployed(tmp_path)
    more = ("--limit", "2", "--ranges", "min-max", "--equalize", "--int16", "middle.expand.conv")
    assert quantized(folder, *more, "--calibrate", str(folder / "photos")) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    rows = {row["tensor"]: row for row in found["tensors"]}
    assert found["images"] == 2
    assert (rows["middle.expand.conv"]["type"], rows["last"]["type"]) == ("i16", "i8")
    assert rows["last"]["ranges"] == "min-max"
    assert "1 file is neither image nor array" in shown.err


def test_every_setting_reaches_the_quantizer(tmp_path: Path) -> None:
    settings = (
        'ranges = moving_average, bias_correction = false, learned_rounding = false, int16_worst = 2, float = ["a"]'
    )
    deployment = mnetdsl.load(deployed(tmp_path, settings)).instance.deployment
    assert requested_settings(deployment) == Settings(
        observer="moving-average",
        techniques=Techniques(bias_correction=False, learned_rounding=False),
        widest=2,
        in_float=frozenset({"a"}),
    )


def test_a_network_without_a_deployment_has_the_settings_of_the_quantizer(tmp_path: Path) -> None:
    assert requested_settings(network(tmp_path / "net").instance.deployment) == Settings()


def test_the_interface_for_python_takes_them_too(tmp_path: Path) -> None:
    net = mnetdsl.load(deployed(tmp_path)).with_weights()
    assert net.quantize().found.images == 3
    assert net.quantize(limit=1).found.images == 1
    assert net.quantize(pictures(4)).found.images == 4


def test_without_images_the_remedy_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantized(deployed(tmp_path, "limit = 3")) == 1
    shown = capsys.readouterr().err
    assert "MN1806" in shown
    assert "--calibrate photos" in shown


def test_a_pattern_that_fits_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantized(deployed(tmp_path, 'calibrate = "pictures/*.jpg"')) == 1
    assert "no file fits the pattern" in capsys.readouterr().err


def test_compiling_it_says_to_quantize_it_first(tmp_path: Path) -> None:
    net = mnetdsl.load(deployed(tmp_path)).with_weights()
    with pytest.raises(MnetError) as caught:
        net.compile("host-c")
    (problem,) = caught.value.diagnostics
    assert problem.code == "MN1814"
    assert "mnet quantize" in problem.help[0]


def test_it_is_not_exported_in_float(tmp_path: Path) -> None:
    net = mnetdsl.load(deployed(tmp_path)).with_weights()
    with pytest.raises(MnetError) as caught:
        net.export("tflite", tmp_path / "net.tflite")
    assert [problem.code for problem in caught.value.diagnostics] == ["MN1814"]
    assert not (tmp_path / "net.tflite").exists()


def test_the_model_of_such_a_deployment_compiles_in_float(tmp_path: Path) -> None:
    folder = deployed(tmp_path)
    net = mnetdsl.load(folder, model="net").with_weights(folder / "w.safetensors")
    assert "net.c" in net.compile("host-c")


def test_the_integers_are_held_to_the_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = deployed(tmp_path, ram="1K")
    assert main(["check", str(folder)]) == 0
    assert quantized(folder) == 3
    assert "MN1103" in capsys.readouterr().err
    written = tmp_path / "int8"
    assert main(["compile", str(written), "--target", "host-c", "-o", str(tmp_path / "c")]) == 3
    assert main(["quantize", str(folder), "-o", str(written), "--ranges", "percentile:10"]) == 2


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("ranges = percentile", "MN0604"),
        ("ranges = mse(3)", "MN0604"),
        ("ranges = percentile(0.5)", "MN0310"),
        ("ranges = percentile(101)", "MN0310"),
        ('int16 = "stem"', "MN0301"),
        ("int16 = [1]", "MN0301"),
        ("limit = 0", "MN0310"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, settings: str, code: str) -> None:
    with pytest.raises(MnetError) as caught:
        mnetdsl.load(deployed(tmp_path, settings))
    assert [problem.code for problem in caught.value.diagnostics] == [code]


def test_int16_everywhere_is_refused_with_what_there_is(tmp_path: Path) -> None:
    folder = deployed(tmp_path)
    text = (folder / "net.mnet").read_text()
    (folder / "net.mnet").write_text(text.replace("quantize int8", "quantize int16"))
    with pytest.raises(MnetError) as caught:
        mnetdsl.load(folder)
    assert caught.value.diagnostics[0].code == "MN0610"
