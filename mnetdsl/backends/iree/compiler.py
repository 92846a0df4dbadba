"""Runs iree-compile as a subprocess: a crash of the compiler is a message with a reproducer, not ours."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import tempfile
from pathlib import Path

from mnetdsl.backends.iree.targets import IreeTarget
from mnetdsl.backends.iree.versions import COMPILER, require_iree
from mnetdsl.diagnostics import Diagnostic, MnetError, error

TIME_LIMIT = 1800.0
"""Seconds. The largest network takes some ten of them; a compiler that needs this many does not end."""


def compile_mlir(text: str, name: str, target: IreeTarget) -> bytes:
    """The `.vmfb` of an MLIR module.

    Raises `MnetError`: MN1221 and MN1222 for the packages, MN1223 where the compiler refuses, crashes or does not
    end; the MLIR text is then kept in a new temporary folder and named in the message.
    """
    require_iree(COMPILER)
    command = [str(compiler_path()), "-", "-o", "-", *target.flags]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=TIME_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        raise MnetError(_failure(text, name, target, f"did not end within {TIME_LIMIT:.0f} seconds", "")) from None
    except OSError as problem:
        raise MnetError(
            error(
                "MN1222",
                f"iree-compile cannot be started: {problem.strerror or problem}",
                location=command[0],
                help=f"reinstall the package: `pip install --force-reinstall {COMPILER}`",
            )
        ) from None
    if done.returncode != 0 or not done.stdout:
        raise MnetError(_failure(text, name, target, _ending(done.returncode), done.stderr.decode("utf-8", "replace")))
    return done.stdout


def compiler_path() -> Path:
    """The iree-compile program inside the compiler's package."""
    from iree.compiler.tools.binaries import find_tool

    return Path(find_tool("iree-compile"))


def _ending(status: int) -> str:
    if status >= 0:
        return f"failed with exit status {status}"
    try:
        return f"crashed ({signal.Signals(-status).name})"
    except ValueError:
        return f"crashed (signal {-status})"


def _failure(text: str, name: str, target: IreeTarget, what: str, stderr: str) -> Diagnostic:
    folder = Path(tempfile.mkdtemp(prefix="mnet-iree-"))
    reproducer = folder / f"{name}.mlir"
    reproducer.write_text(text)
    again = shlex.join(["iree-compile", str(reproducer), "-o", "/dev/null", *target.flags])
    (folder / "stderr.txt").write_text(stderr)
    return error(
        "MN1223",
        f"IREE's compiler {what} on `{name}` for {target.name}",
        location=str(reproducer),
        help=(
            f"run it again by itself: `{again}`",
            "this is a defect of the compiler or of the text we gave it: report it with that file",
        ),
        notes=_first_errors(stderr),
    )


def _first_errors(stderr: str) -> tuple[str, ...]:
    """The first lines that say what is wrong, without the IR that follows them."""
    lines = [line.strip() for line in stderr.splitlines() if re.search(r"\berror:|LLVM ERROR|Assertion|PLEASE", line)]
    return tuple(line[:300] for line in lines[:3])
