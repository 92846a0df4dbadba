"""Convolutions with a window for DSP cores: the interpreter's bits, by the twin and by the assembly."""

from __future__ import annotations

import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.targets import CORES
from tests.backends.c.quantized.layers import Layers, different_in_qemu, different_on_host

DSP = Options(core=CORES["cortex-m4"])
CASES = [
    ((9, 9, 3), (3, 3), (2, 2), (0, 1, 0, 1), 8),
    ((8, 7, 3), (3, 3), (2, 2), (1, 1, 1, 1), 16),
    ((6, 6, 1), (3, 3), (1, 1), (1, 1, 1, 1), 4),
    ((5, 9, 2), (3, 3), (1, 2), (0, 0, 0, 0), 6),
    ((7, 5, 4), (3, 3), (1, 1), (2, 0, 1, 1), 10),
    ((6, 6, 8), (1, 1), (2, 2), (0, 0, 0, 0), 16),
    ((5, 5, 12), (3, 3), (1, 1), (1, 1, 1, 1), 2),
    ((6, 5, 5), (5, 4), (1, 1), (2, 2, 2, 1), 4),
]


def chains(seed: int) -> Layers:
    """Each case between two pointwise layers, so that it lies in the arena."""
    layers = Layers(seed)
    for index, (shape, kernel, strides, padding, outputs) in enumerate(CASES):
        activation = ("relu", "none")[(seed + index) % 2]
        x = layers.input(*shape)
        filter = (*kernel, shape[2], outputs)
        x = layers.weighted("conv2d", x, filter, activation, strides=strides, padding=padding)
        layers.output(layers.weighted("conv2d", x, (1, 1, outputs, 4)))
    return layers


@pytest.mark.parametrize("seed", range(4))
def test_the_twin_gives_the_interpreters_bits(seed: int) -> None:
    layers = chains(seed)
    assert different_on_host(layers, DSP) == []
    assert "dsp_window" in generate(layers.module, options=DSP).program.functions


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33"])
def test_the_assembly_gives_the_interpreters_bits(core: str) -> None:
    assert different_in_qemu(chains(7), core) == []
