"""What can be compiled for, as data: names that `--target` and `deploy { target … }` share.

A name is written with hyphens on the command line and with underscores in the language, where a hyphen subtracts:
`iree-cpu:aarch64` is `iree_cpu_aarch64` there.
"""

from __future__ import annotations

from dataclasses import dataclass

from mnetdsl.targets.boards import BOARDS
from mnetdsl.targets.core import Board, Core, Fpu, Helium, Region, blocks, largest_block, memories
from mnetdsl.targets.cores import CORES, OPTIMIZATION

__all__ = [
    "BOARDS",
    "CORES",
    "HOSTS",
    "NAMES",
    "OPTIMIZATION",
    "Board",
    "Core",
    "Device",
    "Fpu",
    "Helium",
    "Region",
    "blocks",
    "find_device",
    "largest_block",
    "memories",
    "target_name",
]

HOSTS: dict[str, str] = {
    "host-c": "portable C99 with a main, Makefile and CMake file, for the machine at hand",
    "iree-cpu": "IREE module (.vmfb) for the CPU at hand",
    "iree-cpu:aarch64": "IREE module for 64-bit ARM, Linux",
    "iree-cpu:aarch64-dotprod": "the same with the dot products of ARMv8.2, which 8-bit layers use",
    "iree-cpu:riscv64": "IREE module for 64-bit RISC-V with the vector extension, Linux",
    "iree-cpu:x86-64-v3": "IREE module for x86-64 with AVX2 and FMA, Linux",
    "iree-cpu:x86-64-v4": "IREE module for x86-64 with AVX-512, Linux",
    "iree-vulkan": "IREE module (.vmfb) for Vulkan, 8-bit layers by kernels of our own",
    "iree-vulkan:simt": "the same, float layers by kernels of our own as well",
    "iree-vulkan:linalg": "the same, all layers by IREE's own code",
}
"""Targets that are no microcontroller -> what comes out."""

NAMES: tuple[str, ...] = (*HOSTS, *CORES, *BOARDS)
"""Every target."""


@dataclass(frozen=True)
class Device:
    """A microcontroller by core alone, or a part with its memories."""

    core: Core
    board: Board | None = None

    @property
    def name(self) -> str:
        return self.core.name if self.board is None else self.board.name

    @property
    def ram(self) -> int | None:
        """Bytes that one arena can have; None where only the core is known."""
        return None if self.board is None else largest_block(self.board.ram)

    @property
    def flash(self) -> int | None:
        """Bytes for code and constants; None where only the core is known or the flash is none of the part's."""
        return None if self.board is None else largest_block(self.board.flash)


def target_name(written: str) -> str | None:
    """The target that a name written with hyphens or underscores means; None where there is none."""
    wanted = _identifier(written.lower())
    return next((name for name in NAMES if _identifier(name) == wanted), None)


def _identifier(name: str) -> str:
    """`name` as the language writes it."""
    return name.replace("-", "_").replace(":", "_")


def find_device(written: str) -> Device | None:
    """The microcontroller behind a target's name; None for hosts and for what is no target."""
    name = target_name(written)
    if name in CORES:
        return Device(CORES[name])
    return Device(BOARDS[name].core, BOARDS[name]) if name in BOARDS else None
