"""Depthwise kernels for DSP cores: the interpreter's bits, by the twin on a host and by the assembly in QEMU."""

from __future__ import annotations

import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.ir.core import Module
from mnetdsl.targets import CORES
from tests.backends.c.quantized.layers import Layers, different_in_qemu, different_on_host

DSP = Options(core=CORES["cortex-m4"])
CASES = [
    ((5, 3, 4), 1, (1, 1, 1, 1)),
    ((4, 7, 8), 1, (1, 1, 1, 1)),
    ((6, 19, 4), 1, (1, 1, 1, 1)),
    ((3, 48, 8), 1, (0, 2, 2, 0)),
    ((9, 6, 260), 1, (1, 1, 1, 1)),
    ((7, 7, 12), 2, (1, 1, 1, 1)),
    ((8, 8, 16), 2, (0, 1, 0, 1)),
    ((6, 50, 4), 2, (1, 0, 0, 1)),
    ((9, 9, 8), 2, (0, 0, 0, 0)),
    ((5, 6, 264), 2, (0, 1, 0, 1)),
]


KERNELS = {
    "dsp/depthwise_kernel",
    "dsp/depthwise_columns",
    "dsp/depthwise5_kernel",
    "dsp/depthwise5_columns",
    "dsp/depthwise_plain",
}
LARGE = [
    ((5, 5, 4), 1, (2, 2, 2, 2)),
    ((7, 14, 8), 1, (2, 2, 2, 2)),
    ((9, 11, 4), 2, (2, 2, 2, 2)),
    ((8, 28, 4), 2, (1, 2, 1, 2)),
    ((12, 13, 8), 1, (0, 0, 0, 0)),
    ((6, 7, 264), 2, (2, 2, 2, 2)),
]


def chains(seed: int) -> Layers:
    """Pairs of layers, the second in the arena in place of its input."""
    layers = Layers(seed)
    for index, (shape, stride, padding) in enumerate(CASES + LARGE):
        size = 3 if index < len(CASES) else 5
        same = (size // 2,) * 4
        activations = ("relu", "none") if (seed + index) % 2 else ("none", "relu")
        x = layers.input(*shape)
        filter = (size, size, shape[2], 1)
        x = layers.weighted("depthwise_conv2d", x, filter, activations[0], padding=same)
        x = layers.weighted("depthwise_conv2d", x, filter, activations[1], strides=(stride, stride), padding=padding)
        x = layers.weighted("depthwise_conv2d", x, filter, activations[0], padding=same)
        layers.output(x)
    return layers


def kernels(module: Module) -> set[str]:
    return {kernel.source for kernel in generate(module, options=DSP).program.kernels}


@pytest.mark.parametrize("seed", range(4))
def test_the_twin_gives_the_interpreters_bits(seed: int) -> None:
    layers = chains(seed)
    assert different_on_host(layers, DSP) == []
    assert kernels(layers.module) == KERNELS


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33"])
def test_the_assembly_gives_the_interpreters_bits(core: str) -> None:
    assert different_in_qemu(chains(7), core) == []
