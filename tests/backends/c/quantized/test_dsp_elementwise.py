"""Sums and products of 8-bit maps on DSP cores: the interpreter's bits, by the twin on a host and by the assembly."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.targets import CORES
from tests.backends.c.quantized.layers import Layers, different_in_qemu, different_on_host
from tests.toolchain import require

DSP = Options(core=CORES["cortex-m4"])
SHAPES = [(1, 1, 4), (3, 5, 7), (2, 2, 12), (8, 16, 16)]


def chains(seed: int) -> Layers:
    """Sums of two maps and products by channel, each in place of the sum before it."""
    layers = Layers(seed)
    random = np.random.default_rng(seed)

    def storage(*around: float) -> Storage:
        scale = float(np.prod(around)) * 2.0 ** random.uniform(-1, 1)
        return Storage(ElementType.I8, Quantization.per_tensor(scale, int(random.integers(-128, 128))))

    for height, width, channels in SHAPES:
        x = layers.input(height, width, channels)
        other = layers.input(height, width, channels)
        gates = layers.input(1, 1, channels)
        x = layers.op("add", {"left": x, "right": other}, storage(0.08))
        x = layers.op("sub", {"left": x, "right": other}, storage(0.1))
        x = layers.op("mul", {"left": x, "right": gates}, storage(0.1, 3.0))
        layers.output(layers.op("add", {"left": x, "right": other}, storage(0.3)))
    return layers


@pytest.mark.parametrize("seed", range(4))
def test_the_twin_gives_the_interpreters_bits(seed: int) -> None:
    layers = chains(seed)
    assert different_on_host(layers, DSP) == []
    assert generate(layers.module, options=DSP).program.functions >= {"dsp_sum", "dsp_product"}


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33"])
def test_the_assembly_gives_the_interpreters_bits(core: str) -> None:
    assert different_in_qemu(chains(7), core) == []


def test_halves_of_negative_numbers_stay_with_the_reference() -> None:
    """A result at twice the scale of its operands: every second sum lies in the middle between two numbers."""
    require("gcc")
    layers = Layers(3)
    half = Storage(ElementType.I8, Quantization.per_tensor(0.1, 0))
    x, y = (layers.input(16, 16, 4, zero_point=0) for _ in range(2))
    layers.output(layers.op("add", {"left": x, "right": y}, half))
    assert different_on_host(layers, DSP) == []
