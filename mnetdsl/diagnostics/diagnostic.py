"""What went wrong, where, and what to type instead: data only; the views are siblings of this file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from mnetdsl.source import Span


class ExitCode(IntEnum):
    """Exit status of every `mnet` command."""

    OK = 0
    USER_ERROR = 1
    USAGE = 2
    OVER_BUDGET = 3
    MISMATCH = 4
    INTERNAL = 70
    INTERRUPTED = 130


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Label:
    """A place in the source and what is to be seen there."""

    span: Span
    text: str = ""


@dataclass(frozen=True)
class Diagnostic:
    """One message. `code` is a key of `codes.CODES`; `location` names a place that is no text span,
    such as `weights.safetensors` or a tensor inside it."""

    code: str
    message: str
    primary: Label | None = None
    secondary: tuple[Label, ...] = ()
    help: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    location: str | None = None
    severity: Severity = Severity.ERROR


class MnetError(Exception):
    """The user's input cannot be accepted: carries diagnostics and the exit code they deserve."""

    def __init__(self, *diagnostics: Diagnostic, exit_code: ExitCode = ExitCode.USER_ERROR) -> None:
        super().__init__("; ".join(f"{d.code}: {d.message}" for d in diagnostics))
        self.diagnostics = diagnostics
        self.exit_code = exit_code


def error(
    code: str,
    message: str,
    *,
    at: Span | None = None,
    label: str = "",
    also: tuple[Label, ...] = (),
    help: str | tuple[str, ...] = (),
    notes: str | tuple[str, ...] = (),
    location: str | None = None,
) -> Diagnostic:
    """An error with its primary label at `at`; `also` are the secondary places."""
    return Diagnostic(
        code=code,
        message=message,
        primary=None if at is None else Label(at, label),
        secondary=also,
        help=_lines(help),
        notes=_lines(notes),
        location=location,
    )


def _lines(text: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(text, str):
        return (text,) if text else ()
    return text
