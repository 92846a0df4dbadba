"""The boards that QEMU emulates, one a core: Arm's FPGA images for MPS2 and MPS3."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mnetdsl.targets import CORES, Core

_M = 1024 * 1024
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Memory:
    """RAM of the board at [base, base + bytes); images are loaded into it as if it were flash, too."""

    name: str
    base: int
    bytes: int


@dataclass(frozen=True)
class Machine:
    """An emulated board. code holds program and small constants, ram stack and small data, big what fits in neither.

    clock: of the processor and of SysTick, in Hz. note: Arm's application note, which lists the addresses.
    """

    name: str
    core: Core
    clock: int
    code: Memory
    ram: Memory
    big: Memory
    note: str

    @property
    def instructions_per_tick(self) -> Fraction:
        """Under `-icount shift=0` an instruction takes a nanosecond of the emulated time that SysTick counts."""
        return Fraction(NANOSECONDS, self.clock)


def _mps2(name: str, core: str, big: int, note: str) -> Machine:
    return Machine(
        name,
        CORES[core],
        clock=25_000_000,
        code=Memory("CODE", 0x0000_0000, 4 * _M),
        ram=Memory("RAM", 0x2000_0000, 4 * _M),
        big=Memory("BIG", big, 16 * _M),
        note=note,
    )


MACHINES: dict[str, Machine] = {
    machine.core.name: machine
    for machine in (
        _mps2("mps2-an385", "cortex-m3", 0x2100_0000, "DAI 0385"),
        _mps2("mps2-an386", "cortex-m4", 0x2100_0000, "DAI 0386"),
        _mps2("mps2-an500", "cortex-m7", 0x6000_0000, "DAI 0500"),
        Machine(
            "mps2-an505",
            CORES["cortex-m33"],
            clock=20_000_000,
            code=Memory("CODE", 0x1000_0000, 4 * _M),
            ram=Memory("RAM", 0x3800_0000, 4 * _M),
            big=Memory("BIG", 0x8000_0000, 16 * _M),
            note="DAI 0505",
        ),
        Machine(
            "mps3-an547",
            CORES["cortex-m55"],
            clock=32_000_000,
            code=Memory("CODE", 0x1000_0000, _M // 2),
            ram=Memory("RAM", 0x3100_0000, 4 * _M),
            big=Memory("BIG", 0x7000_0000, 64 * _M),
            note="DAI 0547",
        ),
    )
}
"""By core. Where a core has TrustZone, these are the secure addresses: the image runs in the secure state."""
