"""What is said of flash, RAM and instructions before anything runs is what the emulator then shows."""

from __future__ import annotations

import json

import pytest

from mnetdsl.backends import firmware
from mnetdsl.backends.c import Options
from mnetdsl.backends.firmware import forecast
from mnetdsl.backends.qemu.measurement import measure
from mnetdsl.cli.main import main
from mnetdsl.images import random_input
from mnetdsl.ir.core import Module
from mnetdsl.targets import CORES
from tests.backends.c.quantized.test_networks import I8, quantized
from tests.toolchain import require


@pytest.fixture(scope="module")
def network() -> Module:
    return quantized("mobilenet_v1", I8, alpha=0.25, resolution=64, classes=10)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_flash_and_ram_are_those_of_the_measured_image_to_the_byte(network: Module, core: str) -> None:
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")
    said = forecast(network, Options(core=CORES[core]))
    found = measure(network, core, {port.name: random_input(port, 1) for port in network.graph.inputs})
    assert (said.code, said.constants, said.variables) == (found.code, found.constants, found.variables)
    assert said.constants - 2048 < said.weights <= said.constants
    assert said.arena == found.arena
    assert said.flash == found.code + found.constants
    assert [layer.name for layer in said.layers] == [layer.name for layer in found.layers]
    # Made-up weights leave the channels that proofs were measured for: some take the portable form.
    assert said.instructions == pytest.approx(found.instructions, rel=0.25)


def test_cores_without_an_emulated_board_are_compiled_too(network: Module) -> None:
    require("arm-none-eabi-gcc")
    said = forecast(network, Options(core=CORES["cortex-m0plus"]))
    assert said.code is not None
    assert 0 < said.code < said.constants


def test_without_a_compiler_constants_and_arena_are_said_and_what_to_install(
    network: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    said = forecast(network, Options(core=CORES["cortex-m4"]))
    assert (said.code, said.flash, said.ram) == (None, None, None)
    assert said.constants > 0
    assert "gcc-arm-none-eabi" in said.why


def test_summary_says_so_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    require("arm-none-eabi-gcc")
    small = ["summary", "mobilenet_v1", "--set", "alpha=0.25", "--set", "resolution=32", "--set", "classes=4"]
    assert main([*small, "--target", "cortex-m4"]) == 0
    text = capsys.readouterr().out
    assert "ON CORTEX-M4" in text
    assert "flash" in text
    assert [line.split()[0] for line in text.splitlines() if "RAM" in line.split()] == ["RAM"]
    assert main([*small, "--target", "cortex-m4", "--format", "json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["memory"] is None
    total = described["target"]["total"]
    assert total["flash"] == total["code"] + total["constants"]
    assert total["ram"] == total["arena"] + total["context"] + total["variables"]
    assert main([*small, "--target", "host-c"]) == 2
    assert main([*small, "--target", "cortex-m"]) == 2


def test_layers_of_unknown_kernels_leave_the_total_open() -> None:
    layers = (firmware.LayerForecast("a", "conv2d", 5), firmware.LayerForecast("b", "conv2d", None))
    said = firmware.Forecast("cortex-m4", 0, 0, 0, 0, 0, "", layers)
    assert said.instructions is None
