"""What a target is: a processor core, and for a real part the memories around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Helium(Enum):
    """The M-profile vector extension of a core."""

    NONE = "none"
    INTEGER = "integer"
    FLOAT = "integer and float"


class Fpu(Enum):
    """Floating point in hardware."""

    NONE = "none"
    SINGLE = "single"
    DOUBLE = "double"


@dataclass(frozen=True)
class Core:
    """A processor core, as code is generated and compiled for it.

    dsp: SIMD on halves and bytes of a register (SMLAD, SXTB16, …). flags: of gcc, which clang takes too behind
    `--target=arm-none-eabi`. systick: whether the counter is always there, and systick_bits wide it counts down once a
    cycle of the processor clock. cycle_counter: whether DWT.CYCCNT may be there, which needs no interrupts to count on.
    reference: Arm's manual that says so, by its document number.
    """

    name: str
    architecture: str
    dsp: bool
    helium: Helium
    fpu: Fpu
    flags: tuple[str, ...]
    systick: bool
    cycle_counter: bool
    reference: str
    systick_bits: int = 24

    @property
    def clang_flags(self) -> tuple[str, ...]:
        return ("--target=arm-none-eabi", *self.flags)

    @property
    def features(self) -> tuple[str, ...]:
        """What kernels can use beyond plain integers, in words."""
        words = ["DSP"] if self.dsp else []
        words += {Helium.NONE: [], Helium.INTEGER: ["Helium (int)"], Helium.FLOAT: ["Helium"]}[self.helium]
        return (*words, *{Fpu.NONE: [], Fpu.SINGLE: ["FPU"], Fpu.DOUBLE: ["FPU (double)"]}[self.fpu])


@dataclass(frozen=True)
class Region:
    """Memory at addresses [base, base + bytes). speed ranks a part's memories for data: 1 is the fastest."""

    name: str
    base: int
    bytes: int
    speed: int


@dataclass(frozen=True)
class Board:
    """A part that one can buy. flash is empty where code and weights stand in memory that the board adds.

    source: data sheet and reference manual by their document numbers.
    """

    name: str
    part: str
    core: Core
    ram: tuple[Region, ...]
    flash: tuple[Region, ...]
    source: str
    note: str = ""


def blocks(regions: Sequence[Region]) -> list[tuple[Region, ...]]:
    """Regions in groups that follow each other without a gap, by address."""
    groups: list[tuple[Region, ...]] = []
    for region in sorted(regions, key=lambda region: region.base):
        if groups and groups[-1][-1].base + groups[-1][-1].bytes == region.base:
            groups[-1] = (*groups[-1], region)
        else:
            groups.append((region,))
    return groups


def memories(regions: Sequence[Region]) -> tuple[Region, ...]:
    """What one arena each can have, the fastest first: regions without a gap between them are one, as fast as the
    slowest of them."""
    found = [
        group[0]
        if len(group) == 1
        else Region(
            f"{group[0].name} to {group[-1].name}",
            group[0].base,
            sum(region.bytes for region in group),
            max(region.speed for region in group),
        )
        for group in blocks(regions)
    ]
    return tuple(sorted(found, key=lambda region: (region.speed, region.base)))


def largest_block(regions: Sequence[Region]) -> int | None:
    """Bytes of the largest piece of memory without a gap: what one arena can have. None without any regions."""
    return max((sum(region.bytes for region in group) for group in blocks(regions)), default=None)
