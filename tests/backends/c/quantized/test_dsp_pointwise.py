"""Pointwise kernels for DSP cores: the interpreter's bits, by the twin on a host and by the assembly in QEMU."""

from __future__ import annotations

import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.ir.core import Module
from mnetdsl.targets import CORES
from tests.backends.c.quantized.layers import Layers, different_in_qemu, different_on_host

DSP = Options(core=CORES["cortex-m4"])
SHAPES = [
    ((1, 1, 4), (2,)),
    ((3, 3, 8), (16, 4, 64)),
    ((2, 5, 12), (6, 40)),
    ((7, 7, 64), (24, 96)),
    ((4, 4, 160), (10, 20)),
    ((1, 3, 36), (2, 8)),
]


def chains(seed: int) -> Layers:
    """Chains of layers that grow and shrink, so that results lie over inputs in both directions."""
    layers = Layers(seed)
    for (height, width, channels), outputs in SHAPES:
        x = layers.input(height, width, channels)
        for index, count in enumerate(outputs):
            shape = (1, 1, x.type.shape[3], count)
            x = layers.weighted("conv2d", x, shape, activation=("relu", "none")[(seed + index) % 2])
        layers.output(x)
    return layers


def functions(module: Module) -> set[str]:
    return {call.function for layer in generate(module, options=DSP).program.layers for call in layer.calls}


@pytest.mark.parametrize("seed", range(4))
def test_the_twin_gives_the_interpreters_bits(seed: int) -> None:
    layers = chains(seed)
    assert different_on_host(layers, DSP) == []
    assert "dsp_pointwise" in functions(layers.module)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33"])
def test_the_assembly_gives_the_interpreters_bits(core: str) -> None:
    assert different_in_qemu(chains(7), core) == []
