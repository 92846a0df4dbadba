"""Texts that a fuzzer once broke the front end with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.fuzz_parser import try_text

FOUND = sorted((Path(__file__).parent / "found").glob("*.mnet"))


def chain(body: str) -> str:
    return f"mnet 1\nmodel net() {{\n{body}\n}}\n"


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_a_finding_of_the_fuzzer_is_answered_by_diagnostics(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as stream:
        try_text(stream.read())


@pytest.mark.parametrize(
    "body",
    [
        "x = " + "- " * 5000 + "1",
        "x = " + "not " * 5000 + "true",
        "x = a" + ".a" * 5000,
        "x = " + "f(" * 60 + "1" + ")" * 60,
        "x = " + " + ".join(["1"] * 5000),
        "x = [0]" + "[0]" * 5000,
        "x = " + "(" * 5000,
        "if true {\n" * 95 + "x = 1\n" + "}\n" * 95,
        "if false {\n}" + " else if false {\n}" * 190,
    ],
    ids=lambda body: body[:12],
)
def test_nesting_of_every_kind_is_bounded(body: str) -> None:
    try_text(chain(body))


def test_blocks_and_expressions_together_are_bounded() -> None:
    text = "mnet 1\n"
    for number in range(40):
        inner = f"b{number + 1}(x)" if number < 39 else "x"
        text += f"block b{number}(x: int) {{\n" + "if true {\n" * 20
        text += f"return {'-(' * 40}{inner}{')' * 40}\n" + "}\n" * 20 + "return x\n}\n"
    try_text(text + "model net() {\nx = b0(1)\n}\n")
