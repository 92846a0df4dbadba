"""Finds and calls the host's C compiler."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mnetdsl.diagnostics import MnetError, error

_CANDIDATES = ("cc", "gcc", "clang")


def find_compiler() -> list[str]:
    """The command behind `$CC`, or the first of cc, gcc and clang. Raises MN1201 where there is none."""
    chosen = os.environ.get("CC", "").strip()
    if chosen:
        command = shlex.split(chosen, posix=os.name == "posix")
        if shutil.which(command[0]) is None:
            raise MnetError(
                error(
                    "MN1201",
                    f"the C compiler that CC names is not there: `{command[0]}`",
                    help="set CC to a C compiler such as gcc or clang, or unset it",
                )
            )
        return command
    for name in _CANDIDATES:
        if shutil.which(name) is not None:
            return [name]
    raise MnetError(
        error(
            "MN1201",
            f"no C compiler is installed: looked for {', '.join(_CANDIDATES)}",
            help="install one (Debian, Ubuntu: `apt-get install gcc`; macOS: `xcode-select --install`; "
            "Windows: MinGW-w64), or set CC",
        )
    )


def compile_objects(compiler: Sequence[str], sources: Sequence[Path], flags: Sequence[str]) -> list[Path]:
    """Object files beside the sources, compiled side by side. Raises MN1202 where one does not compile."""
    running = []
    for source in sources:
        target = source.with_suffix(".o")
        command = [*compiler, *flags, "-c", str(source), "-o", str(target)]
        running.append((target, command, _start(command)))
    objects = []
    problem: MnetError | None = None
    for target, command, process in running:
        output, _ = process.communicate()
        if process.returncode != 0:
            problem = problem or _failed(command, output, target)
        objects.append(target)
    if problem is not None:
        raise problem
    return objects


def link_library(compiler: Sequence[str], objects: Sequence[Path], library: Path, flags: Sequence[str]) -> None:
    """A shared library of object files. Raises MN1202 where linking fails."""
    command = [*compiler, "-shared", *map(str, objects), "-o", str(library), *flags]
    process = _start(command)
    output, _ = process.communicate()
    if process.returncode != 0:
        raise _failed(command, output, library)


def library_suffix() -> str:
    return {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as problem:
        raise MnetError(
            error(
                "MN1201",
                f"the C compiler cannot be started: {command[0]}: {problem.strerror or problem}",
                help="set CC to a C compiler that works on this machine",
            )
        ) from None


def _failed(command: Sequence[str], output: str, target: Path) -> MnetError:
    """The compiler's first lines say most; the folder it worked in is gone by the time anyone reads them."""
    folder = f"{target.parent}{os.sep}"
    lines = [line.replace(folder, "") for line in output.strip().splitlines()]
    shown = lines[:8] or ["it printed nothing"]
    return MnetError(
        error(
            "MN1202",
            f"`{command[0]}` failed on {target.with_suffix('').name}",
            notes=tuple(shown),
            help="check that the compiler works (`cc --version`) and takes C99, or set CC to another one",
        )
    )
