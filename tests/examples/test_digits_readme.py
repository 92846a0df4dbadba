"""The commands in the README of the digits example run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.conftest import DIGITS
from tests.toolchain import require

ROOT = DIGITS.parents[1]
MNET = Path(sys.executable).parent / "mnet"
(BLOCK,) = re.findall(
    r"^```sh\n(.*?)^```", (DIGITS / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
COMMANDS = [line for line in BLOCK.splitlines() if line.startswith("mnet ")]


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) >= 3


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_succeeds(command: str, tmp_path: Path) -> None:
    require("gcc")
    words = [str(tmp_path / word) if word.startswith("build/") else word for word in command.split()[1:]]
    result = subprocess.run([MNET, *words], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 0, result.stderr
