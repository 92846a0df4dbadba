"""`mnet bench --on qemu:CORE`: the shape of its JSON, its text, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnetdsl.bench.qemu import check_core
from mnetdsl.diagnostics import MnetError
from tests.cli.process import ROOT, mnet, refused
from tests.real_data import tflite
from tests.toolchain import require

DIGITS = ROOT / "examples" / "digits"


@pytest.fixture
def emulator() -> None:
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")


@pytest.mark.usefixtures("emulator")
def test_the_digits_network_is_measured_on_cortex_m4() -> None:
    done = mnet("bench", DIGITS, "--on", "qemu:cortex-m4", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert list(report) == ["total", "layers", "measured"]
    assert list(report["total"]) == ["instructions", "arena", "stack", "code", "constants"]
    assert all(isinstance(number, int) and number > 0 for number in report["total"].values())
    layers = report["layers"]
    assert all(list(layer) == ["index", "name", "op", "instructions", "macs"] for layer in layers)
    assert [layer["index"] for layer in layers] == list(range(len(layers)))
    assert "body.0.depthwise.conv" in {layer["name"] for layer in layers}
    assert sum(layer["instructions"] for layer in layers) == pytest.approx(report["total"]["instructions"], rel=1e-3)
    assert sum(layer["macs"] for layer in layers) == report["measured"]["macs"] == 1_178_144


@pytest.mark.usefixtures("emulator")
def test_an_imported_8_bit_network_is_measured_in_the_same_shape(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    done = mnet("import", tflite("vww_96_int8"), "-o", tmp_path / "vww")
    assert done.returncode == 0, done.stderr
    done = mnet("bench", tmp_path / "vww", "--on", "qemu:cortex-m4", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert list(report["total"]) == ["instructions", "arena", "stack", "code", "constants"]
    assert sum(layer["macs"] for layer in report["layers"]) == 7_489_664
    assert all(layer["instructions"] > 0 for layer in report["layers"])


@pytest.mark.usefixtures("emulator")
def test_text_says_instructions_per_layer_and_what_of_ram_and_flash_is_used(tmp_path: Path) -> None:
    done = mnet("bench", DIGITS, "--on", "qemu:cortex-m55")
    assert done.returncode == 0, done.stderr
    for words in ("mps3-an547", "stem.conv", "total", "RAM", "arena", "stack", "flash", "code", "constants"):
        assert words in done.stdout


def test_unknown_cores_and_options_of_processors_are_refused() -> None:
    text = refused(mnet("bench", DIGITS, "--on", "qemu:cortex-m5"), "MN2001", exit_code=2)
    assert "did you mean `qemu:cortex-m55`?" in text
    refused(mnet("bench", DIGITS, "--on", "qemu"), "MN2001", exit_code=2)
    text = refused(mnet("bench", DIGITS, "--on", "cortex-m4"), "MN2001", exit_code=2)
    assert "did you mean `qemu:cortex-m4`?" in text
    refused(mnet("bench", DIGITS, "--on", "qemu:cortex-m4", "--rounds", "3"), "MN2006", exit_code=2)


def test_a_missing_tool_is_said_in_words(tmp_path: Path) -> None:
    text = refused(mnet("bench", DIGITS, "--on", "qemu:cortex-m4", PATH=str(tmp_path)), "MN1901")
    assert "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi" in text


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ("cortex-m5", "did you mean `qemu:cortex-m55`?"),
        ("stm32f407", "did you mean `qemu:cortex-m4`?"),
        ("cortex-m0plus", "`mnet summary --target cortex-m0plus` says"),
    ],
)
def test_a_machine_that_is_not_emulated_names_what_to_do(machine: str, said: str) -> None:
    with pytest.raises(MnetError) as refused:
        check_core(machine)
    (message,) = refused.value.diagnostics
    assert any(said in line for line in message.help)
    assert machine == "cortex-m5" or not any("cortex-m7`?" in line for line in message.help)
