"""The tables of targets: consistent in themselves, and as the emulator and the compilers see them."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from mnetdsl.backends.qemu.machines import MACHINES
from mnetdsl.targets import (
    BOARDS,
    CORES,
    NAMES,
    Fpu,
    Helium,
    Region,
    blocks,
    find_device,
    largest_block,
    memories,
    target_name,
)
from tests.toolchain import require

PROBE = """\
#include <stdint.h>
int dsp =
#ifdef __ARM_FEATURE_DSP
1;
#else
0;
#endif
int helium =
#ifdef __ARM_FEATURE_MVE
__ARM_FEATURE_MVE;
#else
0;
#endif
int fpu =
#ifdef __ARM_FP
__ARM_FP;
#else
0;
#endif
"""
FP_BITS = {Fpu.NONE: 0, Fpu.SINGLE: 0x4, Fpu.DOUBLE: 0x8}


@pytest.mark.parametrize("name", CORES)
@pytest.mark.parametrize("compiler", ["arm-none-eabi-gcc", "clang"])
def test_compilers_agree_with_the_table_on_what_a_core_has(name: str, compiler: str, tmp_path: Path) -> None:
    path = require(compiler)
    found = CORES[name]
    flags = found.flags if compiler != "clang" else (*found.clang_flags, "-ffreestanding")
    (tmp_path / "probe.c").write_text(PROBE)
    done = subprocess.run(
        [path, *flags, "-E", "-P", "probe.c"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    values = dict(
        line.rstrip(";").removeprefix("int ").split("=")
        for line in done.stdout.replace("=\n", "=").splitlines()
        if "=" in line
    )
    numbers = {name.strip(): int(value, 0) for name, value in values.items()}
    assert bool(numbers["dsp"]) == found.dsp
    assert numbers["helium"] == {Helium.NONE: 0, Helium.INTEGER: 1, Helium.FLOAT: 3}[found.helium]
    assert bool(numbers["fpu"]) == (found.fpu is not Fpu.NONE)
    assert numbers["fpu"] & FP_BITS[found.fpu] == FP_BITS[found.fpu]


@pytest.mark.parametrize("name", BOARDS)
def test_memories_of_a_part_do_not_overlap_and_name_their_source(name: str) -> None:
    found = BOARDS[name]
    regions = sorted((*found.ram, *found.flash), key=lambda region: region.base)
    for first, second in pairwise(regions):
        assert first.base + first.bytes <= second.base
    assert found.ram
    assert found.source
    assert all(region.bytes % 1024 == 0 and region.speed >= 1 for region in regions)


def test_memory_without_gaps_is_one_piece() -> None:
    regions = (Region("c", 0x3000, 0x1000, 1), Region("a", 0x1000, 0x800, 1), Region("b", 0x1800, 0x800, 2))
    assert [[region.name for region in block] for block in blocks(regions)] == [["a", "b"], ["c"]]
    assert largest_block(regions) == 0x1000
    assert largest_block(()) is None


def test_memories_are_pieces_without_a_gap_the_fastest_first_as_fast_as_their_slowest_part() -> None:
    regions = (Region("slow", 0x3000, 0x800, 3), Region("a", 0x1000, 0x800, 2), Region("b", 0x1800, 0x400, 1))
    assert memories(regions) == (Region("a to b", 0x1000, 0xC00, 2), Region("slow", 0x3000, 0x800, 3))
    assert [region.name for region in memories(BOARDS["stm32h743"].ram)] == [
        "DTCM",
        "AXI SRAM",
        "SRAM1 to SRAM3",
        "SRAM4",
    ]


def test_names_are_found_with_hyphens_and_underscores() -> None:
    assert target_name("cortex_m4") == target_name("cortex-m4") == "cortex-m4"
    assert target_name("cortex-m5") is None
    assert len(set(NAMES)) == len(NAMES)
    device = find_device("stm32f407")
    assert device is not None
    assert (device.core.name, device.ram, device.flash) == ("cortex-m4", 128 * 1024, 1024 * 1024)
    assert find_device("host-c") is None


def test_every_emulated_board_has_a_core_of_the_table() -> None:
    assert all(machine.core is CORES[core] for core, machine in MACHINES.items())
