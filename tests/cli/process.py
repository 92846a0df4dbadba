"""Runs the real `mnet` process, as a user's shell does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

COMMAND = (sys.executable, "-m", "mnetdsl.cli.main")
ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120.0


def environment(**changes: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path, **changes}


def mnet(*arguments: str | Path, cwd: Path | None = None, **changes: str) -> subprocess.CompletedProcess[str]:
    """The finished process; `changes` are environment variables."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def refused(result: subprocess.CompletedProcess[str], *codes: str, exit_code: int = 1) -> str:
    """Stderr of a command that failed with exactly these diagnostics, and nothing on stdout."""
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr, result.stderr
    assert re.findall(r"^error\[(MN\d{4})\]", result.stderr, re.MULTILINE) == list(codes), result.stderr
    assert result.returncode == exit_code
    assert result.stdout == ""
    return result.stderr
