"""What users see for the mistakes they make, to the letter.

`pytest tests/diagnostics --update-golden` writes the files anew; read the difference before it is committed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import mnetdsl
from mnetdsl.diagnostics import Diagnostic, MnetError
from mnetdsl.diagnostics.codes import CODES
from mnetdsl.diagnostics.explain import page
from mnetdsl.diagnostics.text import render
from tests.golden import Golden

FOLDER = Path(__file__).parent
WRONG = re.compile(r"^## Wrong\n\n```mnet\n(.*?)^```", re.MULTILINE | re.DOTALL)
Finder = Callable[[str], tuple[Diagnostic, ...]]
CASES = sorted((FOLDER / "cases").glob("*.mnet"))


@pytest.fixture
def diagnostics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finder:
    """What `mnet check` says, or where that is content, what a command that needs one network says."""
    monkeypatch.chdir(tmp_path)

    def find(text: str) -> tuple[Diagnostic, ...]:
        Path("net.mnet").write_text(text, encoding="utf-8")
        found = mnetdsl.check("net.mnet")
        if found:
            return found
        try:
            mnetdsl.load("net.mnet")
        except MnetError as problem:
            return problem.diagnostics
        return ()

    return find


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_mistake_gets_its_message(case: Path, golden: Golden, diagnostics: Finder) -> None:
    found = diagnostics(case.read_text(encoding="utf-8"))
    assert found
    golden.check(case.with_suffix(".txt"), render(found))


@pytest.mark.parametrize("code", [code for code in CODES if WRONG.search(page(code))])
def test_the_wrong_example_of_a_page_gets_its_message(code: str, golden: Golden, diagnostics: Finder) -> None:
    match = WRONG.search(page(code))
    assert match is not None
    golden.check(FOLDER / "golden" / f"{code}.txt", render(diagnostics(match[1])))


def test_at_least_forty_mistakes_have_a_golden_message() -> None:
    assert len(CASES) + len(list((FOLDER / "golden").glob("*.txt"))) >= 40
