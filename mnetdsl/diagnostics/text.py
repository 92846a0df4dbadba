"""Diagnostics for people: the message, the lines it is about with labels under them, what to type instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mnetdsl.diagnostics.diagnostic import Diagnostic, Label, Severity
from mnetdsl.source import SourceFile

TAB = 4
MAX_LINE = 160
"""Longer source lines are cut around the label."""
RESET = "\x1b[0m"
STYLES = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "bold": "\x1b[1m", "frame": "\x1b[34m", "second": "\x1b[36m"}


def render(diagnostics: Sequence[Diagnostic], color: bool = False) -> str:
    """All diagnostics, a blank line between them, and a last line that counts more than one error."""
    paint = _Paint(color)
    parts = [_render(diagnostic, paint) for diagnostic in diagnostics]
    errors = sum(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)
    if errors > 1:
        parts.append(f"{paint.style('error', 'error')}: {errors} errors\n")
    return "\n".join(parts)


class _Paint:
    def __init__(self, color: bool) -> None:
        self.color = color

    def style(self, name: str, text: str) -> str:
        return f"{STYLES[name]}{text}{RESET}" if self.color and text else text


@dataclass(frozen=True)
class _Mark:
    """A label within one line: display columns from 0, `end` exclusive."""

    start: int
    end: int
    text: str
    primary: bool

    @property
    def pointer(self) -> str:
        return ("^" if self.primary else "-") * max(self.end - self.start, 1)


def _render(diagnostic: Diagnostic, paint: _Paint) -> str:
    severity = diagnostic.severity.value
    head = f"{paint.style(severity, f'{severity}[{diagnostic.code}]')}: {paint.style('bold', diagnostic.message)}\n"
    labels = [(label, False) for label in diagnostic.secondary]
    if diagnostic.primary is not None:
        labels.insert(0, (diagnostic.primary, True))
    margin = max((len(str(_last_line(label))) for label, _ in labels), default=1)
    lines: list[str] = []
    for number, (file, group) in enumerate(_by_file(labels)):
        arrow = "-->" if number == 0 else ":::"
        anchor = group[0][0].span
        lines.append(f"{' ' * margin}{paint.style('frame', arrow)} {file.path}:{anchor.line}:{anchor.column}")
        lines.extend(_snippet(file, group, margin, paint))
    if not labels and diagnostic.location is not None:
        lines.append(f"{' ' * margin}{paint.style('frame', '-->')} {diagnostic.location}")
    for kind, texts in (("help", diagnostic.help), ("note", diagnostic.notes)):
        lines.extend(f"{' ' * margin} {paint.style('frame', '=')} {kind}: {text}" for text in texts)
    return head + "".join(f"{line.rstrip()}\n" for line in lines)


def _by_file(labels: Sequence[tuple[Label, bool]]) -> list[tuple[SourceFile, list[tuple[Label, bool]]]]:
    groups: list[tuple[SourceFile, list[tuple[Label, bool]]]] = []
    for label, primary in labels:
        for file, group in groups:
            if file is label.span.file:
                group.append((label, primary))
                break
        else:
            groups.append((label.span.file, [(label, primary)]))
    return groups


def _last_line(label: Label) -> int:
    return label.span.line


def _snippet(file: SourceFile, labels: Sequence[tuple[Label, bool]], margin: int, paint: _Paint) -> Iterable[str]:
    gutter = paint.style("frame", "|")
    yield f"{' ' * margin} {gutter}"
    previous = 0
    for line in sorted({label.span.line for label, _ in labels}):
        if previous and line > previous + 2:
            yield paint.style("frame", "...")
        elif previous and line == previous + 2:
            yield _source_line(file, previous + 1, margin, paint)
        previous = line
        marks = sorted(
            (_mark(file, label, primary) for label, primary in labels if label.span.line == line),
            key=lambda mark: (mark.start, mark.end),
        )
        cut = _cut(marks, _width(_expand(file.line_text(line))))
        yield _source_line(file, line, margin, paint, cut)
        for text in _mark_lines(marks, cut, paint):
            yield f"{' ' * margin} {gutter} {text}"


def _source_line(file: SourceFile, line: int, margin: int, paint: _Paint, cut: int = 0) -> str:
    text = _expand(file.line_text(line))
    shown = ("..." if cut else "") + _skip(text, cut)
    if _width(shown) > MAX_LINE:
        shown = shown[:MAX_LINE] + "..."
    return f"{paint.style('frame', str(line).rjust(margin))} {paint.style('frame', '|')} {shown}"


def _cut(marks: Sequence[_Mark], width: int) -> int:
    """Columns left out at the start of an overlong line, so that its first label is seen."""
    first = min(mark.start for mark in marks)
    return max(first - 40, 0) if width > MAX_LINE and first > MAX_LINE // 2 else 0


def _mark(file: SourceFile, label: Label, primary: bool) -> _Mark:
    line, column = file.position(label.span.start)
    text = file.line_text(line)
    length = min(label.span.end - label.span.start, max(len(text) - (column - 1), 1))
    before, marked = _expand(text[: column - 1]), _expand(text[: column - 1 + max(length, 1)])
    start = _width(before)
    return _Mark(start, max(_width(marked), start + 1), label.text, primary)


def _mark_lines(marks: Sequence[_Mark], cut: int, paint: _Paint) -> list[str]:
    """Pointers under a line. The last label stands behind its pointer, earlier ones on lines of their own below."""
    shift = 3 - cut if cut else 0
    pointers, column = "", 0
    for mark in marks:
        start = min(max(mark.start + shift, column), MAX_LINE + 3)
        pointer = mark.pointer[: max(MAX_LINE + 3 - start, 1)]  # the line is cut there, and so is what points at it
        pointers += " " * (start - column) + paint.style("error" if mark.primary else "second", pointer)
        column = start + len(pointer)
    last = marks[-1]
    lines = [f"{pointers} {paint.style('error' if last.primary else 'second', last.text)}" if last.text else pointers]
    for mark in reversed(marks[:-1]):
        if mark.text:
            indent = " " * min(mark.start + shift, MAX_LINE + 3)
            lines.append(indent + paint.style("error" if mark.primary else "second", mark.text))
    return lines


def _expand(text: str) -> str:
    """Tabs to their stops, control characters to a visible sign, so that columns can be counted."""
    if text.isascii() and text.isprintable():
        return text
    result: list[str] = []
    width = 0
    for char in text:
        if char == "\t":
            shown = " " * (TAB - width % TAB)
        else:
            shown = "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in ("Cc", "Cf") else char
        width += _width(shown)
        result.append(shown)
    return "".join(result)


def _width(text: str) -> int:
    """Columns of a terminal: wide East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _skip(text: str, columns: int) -> str:
    start = 0
    while columns > 0 and start < len(text):
        columns -= _width(text[start])
        start += 1
    return text[start:]
