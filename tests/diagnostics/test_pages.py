"""Each code has a page, and its examples are what they claim to be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mnetdsl
from mnetdsl.diagnostics import MnetError
from mnetdsl.diagnostics.codes import BUDGET_CODES, CODES
from mnetdsl.sema import build, check_text
from mnetdsl.source import SourceFile

PACKAGE = Path(mnetdsl.__file__).parent
PAGES = PACKAGE / "diagnostics" / "pages"
EXAMPLE = re.compile(r"^## (Wrong|Right)\n\n```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
USED_CODE = re.compile(r'"(MN\d{4})"')
CIRCLE = "MN0207"
"""Its wrong example needs a second file; tests/sema has it."""
SELECTION = ("MN0611", "MN0612", "MN0315")
"""Said only when one network is asked for: such a file by itself is fine."""


def examples(code: str) -> dict[str, tuple[str, str]]:
    text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    return {title: (language, program) for title, language, program in EXAMPLE.findall(text)}


def found(program: str, code: str, folder: Path) -> set[str]:
    if code in BUDGET_CODES or code.startswith("MN18"):  # what the compiler finds behind `sema`
        path = folder / "net.mnet"
        path.write_text(program, encoding="utf-8")
        return {diagnostic.code for diagnostic in mnetdsl.check(path)}
    if code not in SELECTION:
        return {diagnostic.code for diagnostic in check_text(program)}
    try:
        build(SourceFile("net.mnet", program))
    except MnetError as problem:
        return {diagnostic.code for diagnostic in problem.diagnostics}
    return set()


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_has_a_page_with_a_wrong_and_a_right_example(code: str) -> None:
    text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {code}: {CODES[code]}\n")
    assert set(examples(code)) == {"Wrong", "Right"}


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_wrong_program_gives_its_code_and_a_right_one_none(code: str, tmp_path: Path) -> None:
    languages = {language for language, _ in examples(code).values()}
    if languages != {"mnet"} or code == CIRCLE:
        return
    assert found(examples(code)["Wrong"][1], code, tmp_path) == {code}
    assert found(examples(code)["Right"][1], code, tmp_path) == set()


def test_every_code_in_use_is_in_the_table_and_the_other_way_round() -> None:
    sources = [path for path in PACKAGE.rglob("*.py") if path.name != "codes.py"]
    used = {code for path in sources for code in USED_CODE.findall(path.read_text(encoding="utf-8"))}
    assert used == set(CODES)


def test_no_page_is_left_over() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(CODES)
