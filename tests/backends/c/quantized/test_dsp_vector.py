"""Layers of one pixel on DSP cores: the interpreter's bits, by the twin on a host and by the assembly in QEMU."""

from __future__ import annotations

import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.backends.c.host import HostRunner
from mnetdsl.backends.qemu.runner import QemuRunner
from mnetdsl.targets import CORES
from tests.backends.c.quantized.layers import Layers, different
from tests.toolchain import require

DSP = Options(core=CORES["cortex-m4"])
SIZES = [(4, 1), (8, 2), (12, 4), (36, 7), (64, 64), (256, 2), (100, 33)]


def chains(seed: int) -> Layers:
    """Of each size a convolution and a dense layer behind it, so that both lie in the arena."""
    layers = Layers(seed)
    for index, (inputs, outputs) in enumerate(SIZES):
        activation = ("relu", "none")[(seed + index) % 2]
        x = layers.weighted("conv2d", layers.input(1, 1, inputs), (1, 1, inputs, inputs), activation)
        x = layers.weighted("conv2d", x, (1, 1, inputs, outputs), activation)
        layers.output(x)
        flat = layers.weighted("dense", layers.input(inputs), (inputs, 4), activation)
        layers.output(layers.weighted("dense", flat, (4, outputs)))
    return layers


@pytest.mark.parametrize("seed", range(4))
def test_the_twin_gives_the_interpreters_bits(seed: int) -> None:
    require("gcc")
    layers = chains(seed)
    inputs = layers.inputs()
    expected = layers.expected(inputs)
    assert different(HostRunner(layers.module, DSP).run(inputs, observe=expected), expected) == []
    assert "dsp_vector" in generate(layers.module, options=DSP).program.functions


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33"])
def test_the_assembly_gives_the_interpreters_bits(core: str) -> None:
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")
    layers = chains(7)
    inputs = layers.inputs()
    expected = layers.expected(inputs)
    assert different(QemuRunner(layers.module, core).run(inputs, expected), expected) == []
