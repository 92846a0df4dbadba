"""Results go to stdout, talk to stderr; color only where a terminal shows it and `NO_COLOR` does not forbid it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from mnetdsl.diagnostics import Diagnostic


def has_color(stream: TextIO) -> bool:
    """Whether escape sequences may go to `stream` (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def show(diagnostics: Sequence[Diagnostic]) -> None:
    """Prints diagnostics for people on stderr."""
    from mnetdsl.diagnostics.text import render

    sys.stderr.write(render(diagnostics, color=has_color(sys.stderr)))


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Stands in for `warnings.showwarning`: our own warnings look like other diagnostics, those of others are not
    the user's business."""
    diagnostic = getattr(message, "diagnostic", None)
    if diagnostic is not None:
        show((diagnostic,))


def talk(message: str) -> None:
    """A line for the person at the terminal, never part of a result."""
    print(message, file=sys.stderr)


def talk_of_files(written: Iterable[str | Path]) -> None:
    """`wrote a, b and c`."""
    *others, last = map(str, written)
    talk(f"wrote {', '.join(others)} and {last}" if others else f"wrote {last}")


def print_json(value: Mapping[str, object]) -> None:
    """A result for scripts, in characters that the output can carry."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, indent=2, ensure_ascii=not unicode))


@contextmanager
def working(message: str) -> Iterator[Callable[[str], None]]:
    """Shows that something takes long, on a terminal only; yields what says how far it is."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console

    with Console(stderr=True, no_color=not has_color(sys.stderr)).status(message) as status:
        yield lambda progress: status.update(f"{message}: {progress}")


@contextmanager
def counting(message: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar, on a terminal only; yields what advances it by a number of steps."""
    if not sys.stderr.isatty():
        yield lambda steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, no_color=not has_color(sys.stderr))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(message, total=total)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def advancing(message: str) -> Iterator[Callable[[str, float], None]]:
    """A progress bar in per cent, on a terminal only; yields what shows a stage, and the share of all that is done."""
    if not sys.stderr.isatty():
        yield lambda stage, share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, no_color=not has_color(sys.stderr))
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(message, total=1.0)
        yield lambda stage, share: bar.update(task, description=f"{message}: {stage}", completed=share)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    """A result as columns; on a terminal the header is dimmed, and columns of words get lines of their own where it is
    too narrow. Elsewhere a row is a line."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    head, *lines = table_lines(header, rows, right, width)
    print(f"\x1b[2m{head}\x1b[0m" if has_color(sys.stdout) else head)
    for line in lines:
        print(line)


def table_lines(
    header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool], width: int | None = None
) -> list[str]:
    """Plain columns, two spaces apart; `right` says which are aligned to the right. `width`: what lines should keep to,
    for which columns of words, that are aligned to the left, are broken between them."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    if width is not None:
        widths = _narrowed(cells, widths, right, width)
    lines = []
    for row in cells:
        broken = [_broken(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*broken, fillvalue=""):
            aligned = zip(parts, widths, right, strict=True)
            lines.append("  ".join(part.rjust(to) if end else part.ljust(to) for part, to, end in aligned).rstrip())
    return lines


def _narrowed(cells: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[bool], width: int) -> list[int]:
    """The widths with the widest columns of words narrowed to one width, the largest for which lines fit, or until no
    word is left to break at."""
    words = [max(len(word) for row in cells for word in row[column].split() or [""]) for column in range(len(widths))]
    found = list(widths)
    for cap in range(max(widths), 0, -1):
        if sum(found) + 2 * (len(found) - 1) <= width:
            break
        found = [
            each if end else max(word, min(each, cap)) for each, word, end in zip(widths, words, right, strict=True)
        ]
    return found


def _broken(cell: str, width: int) -> list[str]:
    """Between words, where it is longer than `width`."""
    return textwrap.wrap(cell, width, break_long_words=False, break_on_hyphens=False) if len(cell) > width else [cell]
