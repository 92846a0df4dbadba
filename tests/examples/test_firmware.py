"""The firmware example: builds, answers as the interpreter does, and its README names what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.cli.process import ROOT, environment
from tests.toolchain import require

FIRMWARE = ROOT / "examples" / "firmware"


def test_the_firmware_reads_rows_and_prints_classes_instructions_ram_and_flash(tmp_path: Path) -> None:
    for tool in ("cmake", "make", "arm-none-eabi-gcc", "qemu-system-arm"):
        require(tool)
    done = subprocess.run(
        [sys.executable, FIRMWARE / "demo.py", "--output", tmp_path, "--images", "4"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^classes +7 2 1 0$", done.stdout, re.MULTILINE)
    assert "4 of 4 right" in done.stdout
    for line in (r"instructions +[\d,]+ to [\d,]+ an image", r"RAM +[\d,]+ bytes: arena", r"flash +[\d,]+ bytes"):
        assert re.search(rf"^{line}", done.stdout, re.MULTILINE), done.stdout


def test_the_readme_lists_every_file() -> None:
    text = (FIRMWARE / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in FIRMWARE.iterdir() if path.is_file()} - {"README.md"}
    assert files == {name for name in re.findall(r"`([\w.]+\.(?:c|h|py|txt))`", text) if not name.startswith("mnet_")}
