"""Every program in README and docs is a program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mnetdsl.sema import check_text

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```mnet\n(.*?)^```", re.MULTILINE | re.DOTALL)

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, text in enumerate(FENCE.findall(page.read_text(encoding="utf-8")))
]


def test_the_reference_manual_has_programs() -> None:
    assert len(PROGRAMS) > 5


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_in_the_docs_is_accepted(program: str) -> None:
    assert check_text(program) == ()
