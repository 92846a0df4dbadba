"""Lookups on DSP cores: the interpreter's bits, by the code for any compiler and by the assembly."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.targets import CORES
from tests.backends.c.quantized.layers import Layers, different_in_qemu, different_on_host

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
    layers = chains(1)
    assert different_on_host(layers, DSP) == []
    assert generate(layers.module, options=DSP).program.functions >= {"dsp_lookup", "dsp_flip"}


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33"])
def test_the_assembly_gives_the_interpreters_bits(core: str) -> None:
    assert different_in_qemu(chains(7), core) == []
