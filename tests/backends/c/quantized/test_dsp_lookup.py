"""Lookups on DSP cores: the interpreter's bits, by the code for any compiler and by the assembly."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.backends.c.host import HostRunner
from mnetdsl.backends.qemu.runner import QemuRunner
from mnetdsl.targets import CORES
from tests.backends.c.quantized.layers import Layers, different
from tests.toolchain import require

DSP = Options(core=CORES["cortex-m4"])


def chains(seed: int) -> Layers:
    """Of sizes around the sixteen elements that the kernels take: any table, the turned sign, any table."""
    layers = Layers(seed)
    turned = layers.constant("turned.table", (np.arange(256, dtype=np.uint8) ^ 0x80).view(np.int8))
    for count in (1, 15, 16, 17, 64, 131):
        x = layers.input(count)
        table = layers.random.integers(-128, 128, 256).astype(np.int8)
        own = layers.constant(f"table{count}", table)
        for values in (own, turned, own):
            x = layers.op("lookup", {"input": x, "table": values}, layers.storage())
        layers.output(x)
    return layers


def test_the_code_for_any_compiler_gives_the_interpreters_bits() -> None:
    require("gcc")
    layers = chains(1)
    inputs = layers.inputs()
    expected = layers.expected(inputs)
    assert different(HostRunner(layers.module, DSP).run(inputs, observe=expected), expected) == []
    assert generate(layers.module, options=DSP).program.functions >= {"dsp_lookup", "dsp_flip"}


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33"])
def test_the_assembly_gives_the_interpreters_bits(core: str) -> None:
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")
    layers = chains(7)
    inputs = layers.inputs()
    expected = layers.expected(inputs)
    assert different(QemuRunner(layers.module, core).run(inputs, expected), expected) == []
