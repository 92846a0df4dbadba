"""Fixtures of this backend's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnetdsl.backends.iree.emulated import FOREIGN
from tests.toolchain import require

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def aarch64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulator and runtime, the latter fetched from PyPI on first use."""
    require("qemu-aarch64-static")
    foreign = FOREIGN["aarch64"]
    if os.environ.get(foreign.variable):
        return
    folder = ROOT / "build" / "iree-aarch64"
    if not (folder / "iree").is_dir():
        arguments = foreign.fetch.replace("DIR", str(folder)).split()[1:]
        subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)
    monkeypatch.setenv(foreign.variable, str(folder))
