"""The text view frames the right columns in every script and on every line."""

from __future__ import annotations

import pytest

from mnetdsl.diagnostics import Label, error
from mnetdsl.diagnostics.text import render
from mnetdsl.source import SourceFile, Span


def lines(text: str, start: int, end: int, *, color: bool = False) -> list[str]:
    source = SourceFile("a.mnet", text)
    return render([error("MN0102", "m", at=Span(source, start, end), label="here")], color=color).split("\n")


def test_the_pointer_stands_under_the_characters() -> None:
    assert lines("abc def", 4, 7)[3:5] == ["1 | abc def", "  |     ^^^ here"]


def test_a_tab_takes_its_columns() -> None:
    assert lines("\tabc", 1, 2)[3:5] == ["1 |     abc", "  |     ^ here"]


def test_wide_characters_take_two_columns() -> None:
    assert lines("幅 = 高", 4, 5)[3:5] == ["1 | 幅 = 高", "  |      ^^ here"]


def test_the_end_of_the_file_can_be_pointed_at() -> None:
    assert lines("ab\n", 3, 3)[3:5] == ["2 |", "  | ^ here"]


def test_control_characters_are_shown_harmlessly() -> None:
    assert "\x1b" not in render([error("MN0102", "m", at=Span(SourceFile("a", "\x1b[31mred"), 0, 1))])


def test_color_is_only_there_when_asked_for() -> None:
    assert "\x1b[" in "".join(lines("abc", 0, 1, color=True))
    assert "\x1b[" not in "".join(lines("abc", 0, 1))


def test_two_labels_on_one_line_both_have_their_text() -> None:
    source = SourceFile("a.mnet", "left + right")
    text = render(
        [error("MN0401", "m", at=Span(source, 0, 4), label="first", also=(Label(Span(source, 7, 12), "second"),))]
    )
    assert text.split("\n")[4:6] == ["  | ^^^^   ----- second", "  | first"]


def test_labels_in_two_files_name_both() -> None:
    one, two = SourceFile("one.mnet", "a"), SourceFile("two.mnet", "b")
    text = render([error("MN0202", "m", at=Span(one, 0, 1), also=(Label(Span(two, 0, 1), "first"),))])
    assert "--> one.mnet:1:1" in text
    assert "::: two.mnet:1:1" in text


@pytest.mark.parametrize(("count", "last"), [(1, ""), (2, "error: 2 errors")])
def test_several_errors_are_counted(count: int, last: str) -> None:
    text = render([error("MN0901", "m")] * count)
    assert text.rstrip("\n").split("\n")[-1] == (last or "error[MN0901]: m")
