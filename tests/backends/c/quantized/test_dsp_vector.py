"""Layers of one pixel on DSP cores: the interpreter's bits, by the twin on a host and by the assembly in QEMU."""

from __future__ import annotations

import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.targets import CORES
from tests.backends.c.quantized.layers import Layers, different_in_qemu, different_on_host

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
    layers = chains(seed)
    assert different_on_host(layers, DSP) == []
    assert "dsp_vector" in generate(layers.module, options=DSP).program.functions


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33"])
def test_the_assembly_gives_the_interpreters_bits(core: str) -> None:
    assert different_in_qemu(chains(7), core) == []
