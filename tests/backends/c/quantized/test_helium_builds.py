"""What is generated for Helium, elsewhere: under sanitizers on a host, by other compilers, for cores without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnetdsl.backends.c import generate
from tests.backends.c.harness import run_command, write
from tests.backends.c.quantized.layers import different_under_sanitizers
from tests.backends.c.quantized.test_dsp_builds import ARM, STRICT
from tests.backends.c.quantized.test_helium import HELIUM, KINDS, networks
from tests.toolchain import require

COMPILERS = {
    "gcc-m55": ("arm-none-eabi-gcc", "-mcpu=cortex-m55", "-mfloat-abi=hard", *ARM),
    "gcc-m55-unoptimized": ("arm-none-eabi-gcc", "-mcpu=cortex-m55", "-mfloat-abi=hard", *ARM, "-O0"),
    "gcc-m4": ("arm-none-eabi-gcc", "-mcpu=cortex-m4", *ARM),
    "clang-m55": ("clang", "--target=arm-none-eabi", "-mcpu=cortex-m55", "-mfloat-abi=hard", *ARM),
    "clang-host": ("clang", "-std=c99", "-pedantic", *STRICT),
    "c++": ("g++", "-x", "c++", *STRICT),
}


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_twins_are_clean_under_the_sanitizers(seed: int, tmp_path: Path) -> None:
    assert different_under_sanitizers(networks(seed), HELIUM, tmp_path) == []


@pytest.mark.parametrize("compiler", COMPILERS)
def test_other_compilers_take_it_without_a_warning(compiler: str, tmp_path: Path) -> None:
    command = COMPILERS[compiler]
    require(command[0])
    folder = write(tmp_path, generate(networks(1).module, options=HELIUM).files)
    run_command([*command, "-c", "net.c", "-o", "net.o"], folder)
