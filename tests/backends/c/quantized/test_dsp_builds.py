"""What is generated for DSP cores, elsewhere: under sanitizers on a host, by other compilers, for cores without DSP."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.targets import CORES
from tests.backends.c.harness import run_command, write
from tests.backends.c.quantized import (
    test_dsp_depthwise,
    test_dsp_elementwise,
    test_dsp_lookup,
    test_dsp_pointwise,
    test_dsp_vector,
    test_dsp_window,
)
from tests.backends.c.quantized.layers import Layers, different_under_sanitizers
from tests.toolchain import require

DSP = Options(core=CORES["cortex-m4"])
CHAINS = {
    "pointwise": test_dsp_pointwise.chains,
    "depthwise": test_dsp_depthwise.chains,
    "window": test_dsp_window.chains,
    "vector": test_dsp_vector.chains,
    "elementwise": test_dsp_elementwise.chains,
    "lookup": test_dsp_lookup.chains,
}
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
ARM = ("-mthumb", "-isystem", "/usr/lib/arm-none-eabi/include", "-O2", *STRICT)
COMPILERS = {
    "gcc-m4": ("arm-none-eabi-gcc", "-mcpu=cortex-m4", *ARM),
    "gcc-m33-unoptimized": ("arm-none-eabi-gcc", "-mcpu=cortex-m33", *ARM, "-O0"),
    "gcc-m3": ("arm-none-eabi-gcc", "-mcpu=cortex-m3", *ARM),
    "clang-m4": ("clang", "--target=arm-none-eabi", "-mcpu=cortex-m4", *ARM),
    "clang-m33": ("clang", "--target=arm-none-eabi", "-mcpu=cortex-m33", *ARM),
    "clang-host": ("clang", "-std=c99", "-pedantic", *STRICT),
    "c++": ("g++", "-x", "c++", *STRICT),
}


def every_kind() -> Layers:
    """All kernels side by side."""
    layers = Layers(11)
    x = layers.weighted("conv2d", layers.input(9, 11, 3), (3, 3, 3, 8), "relu", strides=(2, 2), padding=(1, 1, 1, 1))
    for size in (3, 5):
        for stride in (1, 2):
            same = (size // 2,) * 4
            filter = (size, size, 8, 1)
            x = layers.weighted("depthwise_conv2d", x, filter, "relu", strides=(stride, stride), padding=same)
            x = layers.weighted("conv2d", x, (1, 1, 8, 8), "none") if stride == 1 else x
        x = layers.op("add", {"left": x, "right": x}, layers.storage())
        layers.output(x)
        x = layers.input(9, 11, 8)
    gates = layers.weighted("conv2d", layers.input(1, 1, 8), (1, 1, 8, 8), "relu")
    table = layers.constant("table", layers.random.integers(-128, 128, 256).astype(np.int8))
    x = layers.op("lookup", {"input": x, "table": table}, layers.storage())
    layers.output(layers.op("mul", {"left": x, "right": gates}, layers.storage()))
    return layers


@pytest.mark.parametrize("kind", CHAINS)
def test_twins_are_clean_under_the_sanitizers(kind: str, tmp_path: Path) -> None:
    assert different_under_sanitizers(CHAINS[kind](5), DSP, tmp_path) == []


@pytest.mark.parametrize("compiler", COMPILERS)
def test_other_compilers_take_it_without_a_warning(compiler: str, tmp_path: Path) -> None:
    command = COMPILERS[compiler]
    require(command[0])
    folder = write(tmp_path, generate(every_kind().module, options=DSP).files)
    run_command([*command, "-c", "net.c", "-o", "net.o"], folder)
