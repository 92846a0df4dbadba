"""docs/diagnostics.md shows what the program on it really gets, and names every group of codes and exit status."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mnetdsl.diagnostics import ExitCode
from mnetdsl.diagnostics.codes import CODES
from mnetdsl.diagnostics.structured import as_json
from mnetdsl.diagnostics.text import render
from mnetdsl.sema import check_text

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "diagnostics.md").read_text(encoding="utf-8")


def fence(language: str) -> str:
    match = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


def test_the_message_and_its_json_are_those_of_the_program() -> None:
    diagnostics = check_text(fence("mnet wrong"), "net.mnet")
    assert fence("text") == render(diagnostics)
    assert json.loads(fence("json")) == as_json(diagnostics)


def test_every_group_of_codes_and_every_exit_status_is_listed() -> None:
    assert {f"{code[:4]}xx" for code in CODES} <= set(re.findall(r"^\| (MN\d\dxx) ", PAGE, re.MULTILINE))
    assert {int(status) for status in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)} == set(map(int, ExitCode))
