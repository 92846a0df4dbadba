"""What the user sees when we have a bug: a short message, and a file that lets us reproduce it."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from importlib import metadata
from pathlib import Path

from mnetdsl.version import __version__

MAX_SOURCE_BYTES = 64 * 1024
PACKAGES = ("numpy", "lark", "jinja2", "click", "iree-base-compiler", "iree-base-runtime")


def report_crash(problem: Exception, arguments: list[str]) -> None:
    """Writes the reproducer and says on stderr what to do with it."""
    path = _write_log(problem, arguments)
    if isinstance(problem, MemoryError):
        print("error: out of memory: the network needs more than this machine has", file=sys.stderr)
        print("  = help: lower the resolution, the width or the batch, or use a machine with more", file=sys.stderr)
    else:
        print(f"error: internal error in mnet {__version__}: {_last_line(problem)}", file=sys.stderr)
        print("  = note: this is a bug in mnetdsl, not in your file", file=sys.stderr)
    if path is not None:
        print(f"  = help: report it with this file, which holds all we need: {path}", file=sys.stderr)


def _last_line(problem: Exception) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    text = " ".join(str(problem).split())[:200]
    return f"{type(problem).__name__}{': ' + text if text else ''}{place}"


def _write_log(problem: Exception, arguments: list[str]) -> Path | None:
    """The reproducer's path, or None where even the temporary folder cannot be written."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="mnet-crash-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as log:
            log.write(_text(problem, arguments))
            return Path(log.name)
    except OSError:
        return None


def _text(problem: Exception, arguments: list[str]) -> str:
    lines = [
        f"mnet {__version__}",
        f"python {platform.python_version()} on {platform.platform()}",
        ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        f"command: mnet {' '.join(map(repr, arguments))}",
        "",
        *(line.rstrip("\n") for line in traceback.format_exception(problem)),
    ]
    for argument in arguments:
        lines += _source(argument)
    lines += _before_pass(problem)
    return "\n".join(lines) + "\n"


def _before_pass(problem: Exception) -> list[str]:
    """The IR that a failing pass was given, and the command that runs the pass on it."""
    from mnetdsl.passes.pass_manager import PassError

    return ["", f"---- before.mlir: {problem.command}", problem.before] if isinstance(problem, PassError) else []


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _source(argument: str) -> list[str]:
    """The `.mnet` file that the command line names: with it, the crash can be reproduced."""
    path = Path(argument)
    try:
        if path.suffix != ".mnet" or path.stat().st_size > MAX_SOURCE_BYTES:
            return []
        text = path.read_text(encoding="utf-8", errors="backslashreplace")
    except (OSError, ValueError):
        return []
    return ["", f"---- {argument}", text]
