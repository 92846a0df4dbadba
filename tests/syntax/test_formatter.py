"""`mnet fmt` has one layout, keeps meaning and comments, and changes nothing the second time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnetdsl.source import SourceFile
from mnetdsl.syntax.comments import comments
from mnetdsl.syntax.formatter import format_source
from mnetdsl.syntax.parser import parse
from tests.syntax.programs import ProgramMaker

ROOT = Path(__file__).resolve().parents[2]


def formatted(text: str) -> str:
    return format_source(SourceFile("net.mnet", text))


def meaning(node: object) -> object:
    """The syntax tree without its places."""
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        fields = {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
        kept = {name: meaning(value) for name, value in fields.items() if name not in ("span", "source", "path_span")}
        return (type(node).__name__, kept)
    if isinstance(node, tuple):
        return tuple(meaning(item) for item in node)
    return node


@given(st.integers(0, 2**32))
def test_formatting_keeps_meaning_and_comments_and_is_idempotent(seed: int) -> None:
    text = ProgramMaker(Random(seed)).program()
    once = formatted(text)
    assert formatted(once) == once
    assert meaning(parse(SourceFile("a", once))) == meaning(parse(SourceFile("a", text)))
    before = sorted(comment.text for comment in comments(SourceFile("a", text)))
    assert sorted(comment.text for comment in comments(SourceFile("a", once))) == before


@pytest.mark.parametrize("path", sorted([*ROOT.glob("mnetdsl/std/*.mnet"), *ROOT.glob("examples/**/*.mnet")]), ids=str)
def test_files_of_the_project_are_in_the_layout(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text


def test_tables_are_aligned_numbers_to_the_right_and_words_to_the_left() -> None:
    text = "mnet 1\nmodel net() {\ntable body {\nchannels act\n8 relu\n128 hard_swish # wide\n}\n}\n"
    assert formatted(text).split("\n")[4:8] == [
        "    channels  act",
        "           8  relu",
        "         128  hard_swish  # wide",
        "  }",
    ]


def test_a_long_call_has_one_argument_a_line() -> None:
    call = "x = conv2d(image, channels_of_the_first_layer, kernel = the_kernel, stride = 2, bias = false) as stem"
    lines = formatted(f"mnet 1\nblock b(image: tensor) {{\n{call}\n}}\n").split("\n")
    assert lines[3:6] == ["  x = conv2d(", "    image,", "    channels_of_the_first_layer,"]
    assert lines[9] == "  ) as stem"


def test_crlf_and_a_byte_order_mark_are_read() -> None:
    assert formatted("mnet 1\r\nblock b(x: tensor) {\r\n  return x # same\r\n}\r\n") == (
        "mnet 1\n\nblock b(x: tensor) {\n  return x  # same\n}\n"
    )


def test_redundant_parentheses_go_and_needed_ones_stay() -> None:
    text = "mnet 1\nblock b(a: int) {\n  return (a + 1) * (2), -(a ** 2), (-a) ** 2, a - (b - c), (a if b else c)\n}\n"
    assert "return (a + 1) * 2, -a ** 2, (-a) ** 2, a - (b - c), a if b else c" in formatted(text)
