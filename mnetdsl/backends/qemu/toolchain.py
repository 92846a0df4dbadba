"""Finds and calls the compiler for Cortex-M and the emulator."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mnetdsl.diagnostics import Diagnostic, ExitCode, MnetError, error

COMPILER = "arm-none-eabi-gcc"
EMULATOR = "qemu-system-arm"
PATIENCE = 1800.0
"""Seconds after which an emulated program is taken for hanging: a large network in software floats takes minutes."""


def find_compiler() -> str:
    """Path of the compiler. Raises MN1901 where there is none."""
    return _find(
        COMPILER,
        "MN1901",
        "compiler",
        "install it (Debian, Ubuntu: `apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi`; "
        "macOS: `brew install --cask gcc-arm-embedded`; others: Arm GNU Toolchain, arm-none-eabi)",
    )


def find_emulator() -> str:
    """Path of the emulator. Raises MN1902 where there is none."""
    return _find(
        EMULATOR,
        "MN1902",
        "emulator",
        "install it (Debian, Ubuntu: `apt-get install qemu-system-arm`; macOS: `brew install qemu`)",
    )


def _find(program: str, code: str, what: str, help: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise MnetError(error(code, f"there is no {what} for Cortex-M: `{program}` is not installed", help=help))
    return path


def compile_all(folder: Path, jobs: Sequence[tuple[str, str, Sequence[str]]], flags: Sequence[str]) -> None:
    """Objects of (source, object, flags of its own), side by side. Raises MN1903 where one does not compile."""
    compiler = find_compiler()
    running = [
        (source, _start([compiler, *flags, *own, "-c", source, "-o", target], folder)) for source, target, own in jobs
    ]
    results = [(source, process.communicate()[0], process.returncode) for source, process in running]
    for source, output, status in results:
        if status != 0:
            raise _compiler_failed(source, output)


def link(folder: Path, objects: Sequence[str], target: str, flags: Sequence[str]) -> None:
    """Raises MN1905 where the image does not fit the board, MN1903 where linking fails for other reasons."""
    process = _start([find_compiler(), *flags, *objects, "-o", target, "-lm", "-lc", "-lgcc"], folder)
    output, _ = process.communicate()
    if process.returncode != 0:
        if "will not fit in region" in output or "overflowed by" in output:
            raise MnetError(_does_not_fit(output), exit_code=ExitCode.OVER_BUDGET)
        raise _compiler_failed(target, output)


def emulate(folder: Path, machine: str, image: str, *, counting: bool) -> None:
    """Runs an image to its end; it reads and writes files in `folder`.

    counting: a nanosecond of emulated time passes for each instruction, which makes the image's clock count them.
    Raises MN1902 where there is no emulator and MN1904 where the program fails or does not end.
    """
    command = [find_emulator(), "-M", machine, "-display", "none", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", image]
    if counting:
        command += ["-icount", "shift=0"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MnetError(_program_failed(machine, f"did not end within {PATIENCE:.0f} seconds", "")) from None
    except OSError as problem:
        raise MnetError(_program_failed(machine, f"cannot be started: {problem.strerror or problem}", "")) from None
    if done.returncode != 0:
        raise MnetError(_program_failed(machine, f"ended with status {done.returncode}", done.stdout))


def _start(command: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as problem:
        raise _compiler_failed(command[0], str(problem.strerror or problem)) from None


def _compiler_failed(what: str, output: str) -> MnetError:
    return MnetError(
        error(
            "MN1903",
            f"`{COMPILER}` failed on {what}",
            notes=_lines(output) or ("it printed nothing",),
            help=f"check that it works (`{COMPILER} --version`, 12.2 is what is tested) and has newlib "
            "(Debian, Ubuntu: `apt-get install libnewlib-arm-none-eabi`)",
        )
    )


def _does_not_fit(output: str) -> Diagnostic:
    return error(
        "MN1905",
        "the network does not fit the emulated board's memory",
        notes=tuple(line.rpartition("ld: ")[2] for line in _lines(output, 40) if "fit" in line or "overflowed" in line),
        help="lower the resolution or the width, or quantize it; or take a core with a larger board: cortex-m55",
    )


def _program_failed(machine: str, what: str, output: str) -> Diagnostic:
    return error(
        "MN1904",
        f"the program on `{machine}` {what}",
        notes=_lines(output),
        help=f"check the emulator (`{EMULATOR} --version`, 7.2 is what is tested); if it works, report this",
    )


def _lines(output: str, count: int = 8) -> tuple[str, ...]:
    return tuple(line.strip()[:300] for line in output.strip().splitlines() if line.strip())[:count]
