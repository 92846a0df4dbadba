"""Results go to stdout, talk to stderr; color only where a terminal shows it and `NO_COLOR` does not forbid it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

    from mnetdsl.diagnostics import Diagnostic


def has_color(stream: TextIO) -> bool:
    """Whether escape sequences may go to `stream` (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def show(diagnostics: Sequence[Diagnostic]) -> None:
    """Prints diagnostics for people on stderr."""
    from mnetdsl.diagnostics.text import render

    sys.stderr.write(render(diagnostics, color=has_color(sys.stderr)))


def talk(message: str) -> None:
    """A line for the person at the terminal, never part of a result."""
    print(message, file=sys.stderr)


def print_json(value: Mapping[str, object]) -> None:
    """A result for scripts."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def result_console(width: int | None = None) -> Console:
    """A rich console on stdout. Into a pipe it never wraps: one row is one line."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout,
        no_color=not has_color(sys.stdout),
        highlight=False,
        markup=False,
        emoji=False,
        width=width if terminal else max(width or 0, 200),
    )


def table_lines(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Plain columns, two spaces apart; `right` says which are aligned to the right."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
