"""A model as programs for an emulated board, from the very files that users get.

There are up to three: PLAIN is the model as users build it, and what is measured in total. OBSERVE sends results of
layers to the host as they are computed, PROFILE counts each layer. Each is built when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from mnetdsl.backends.c import CPackage
from mnetdsl.backends.qemu.board import image_files
from mnetdsl.backends.qemu.machines import Machine
from mnetdsl.backends.qemu.map_file import Sizes, model_sizes
from mnetdsl.backends.qemu.toolchain import compile_all, emulate, find_compiler, find_emulator, link
from mnetdsl.files import work_folder, write_folder
from mnetdsl.targets import OPTIMIZATION

FLAGS = ("-std=c99", OPTIMIZATION, "-ffunction-sections", "-fdata-sections")
"""Of the model, beside those of the core."""
_OWN_FLAGS = ("-std=gnu99", "-O2", "-ffreestanding", "-fno-tree-loop-distribute-patterns")
"""Of what surrounds it: without library functions, which would be taken for the model's."""


class Build(Enum):
    """A program; its value is the macro that makes it."""

    PLAIN = "MNET_PLAIN"
    OBSERVE = "MNET_OBSERVE"
    PROFILE = "MNET_PROFILE"


class Image:
    """Programs of a package for one board, in a folder that goes with this object.

    Raises `MnetError`: MN1901 and MN1902 where compiler or emulator is missing, MN1903 where compiling fails, MN1905
    where the network is too large for the board.
    """

    def __init__(self, package: CPackage, machine: Machine) -> None:
        find_compiler()
        find_emulator()
        self.package = package
        self.machine = machine
        self._folder = work_folder("qemu")
        self._built: set[Build] = set()
        write_folder(self._path, {**package.files, **image_files(package.program, machine)})

    @property
    def _path(self) -> Path:
        return Path(self._folder.name)

    def run(self, build: Build, request: bytes, *, counting: bool = False) -> bytes:
        """The answer of a program to a request, see `exchange`. Raises MN1904 where it fails."""
        self._build(build)
        (self._path / "request.bin").write_bytes(request)
        emulate(self._path, self.machine.name, _program(build), counting=counting)
        return (self._path / "answer.bin").read_bytes()

    def sizes(self) -> Sizes:
        """Code, constants and variables of the model, with the library functions that it calls."""
        self._build(Build.PLAIN)
        text = (self._path / f"{_program(Build.PLAIN)}.map").read_text(encoding="utf-8", errors="replace")
        surroundings = ("mnet_startup.o", "mnet_counting.o", f"mnet_runner_{Build.PLAIN.name.lower()}.o")
        return model_sizes(text, surroundings)

    def _build(self, build: Build) -> None:
        if build in self._built:
            return
        name = self.package.program.name
        suffix = build.name.lower()
        model, runner = f"{name}_{suffix}.o", f"mnet_runner_{suffix}.o"
        hooks = ("-include", "mnet_hooks.h", f"-D{build.value}")
        jobs: list[tuple[str, str, Sequence[str]]] = [
            (f"{name}.c", model, (*FLAGS, *hooks)),
            ("mnet_runner.c", runner, (*_OWN_FLAGS, *hooks)),
        ]
        if not self._built:
            jobs += [
                (f"{name}_weights.c", f"{name}_weights.o", FLAGS),
                ("mnet_startup.c", "mnet_startup.o", _OWN_FLAGS),
                ("mnet_counting.c", "mnet_counting.o", _OWN_FLAGS),
            ]
        core = self.machine.core.flags
        compile_all(self._path, jobs, core)
        objects = ["mnet_startup.o", "mnet_counting.o", runner, model, f"{name}_weights.o"]
        flags = [*core, "-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", "-T", "mnet_board.ld"]
        link(self._path, objects, _program(build), [*flags, f"-Wl,-Map={_program(build)}.map"])
        self._built.add(build)


def _program(build: Build) -> str:
    return f"mnet_{build.name.lower()}.elf"
