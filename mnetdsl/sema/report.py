"""Collects diagnostics so that independent errors are all shown and one cause is shown once."""

from __future__ import annotations

from collections.abc import Iterable

from mnetdsl.diagnostics import Diagnostic, MnetError
from mnetdsl.source import SourceFile


class Reported(Exception):
    """A statement cannot go on; its diagnostic has been collected."""


class Report:
    """Diagnostics in the order found; the same code at the same place is kept once (a loop body runs often)."""

    LIMIT = 50
    """More errors than this help nobody."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._seen: set[tuple[str, SourceFile | None, int]] = set()

    def add(self, diagnostic: Diagnostic) -> None:
        span = diagnostic.primary.span if diagnostic.primary else None
        key = (diagnostic.code, span.file if span else None, span.start if span else len(self.diagnostics))
        if key not in self._seen and len(self.diagnostics) < self.LIMIT:
            self._seen.add(key)
            self.diagnostics.append(diagnostic)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def stop(self, diagnostic: Diagnostic) -> Reported:
        """Collects the diagnostic; `raise report.stop(…)` leaves the statement."""
        self.add(diagnostic)
        return Reported()

    def sorted(self) -> tuple[Diagnostic, ...]:
        """All diagnostics in the order of the text; those without a place come first."""
        return tuple(sorted(self.diagnostics, key=_place))

    def raise_if_any(self) -> None:
        if self.diagnostics:
            raise MnetError(*self.sorted())


def _place(diagnostic: Diagnostic) -> tuple[str, int]:
    span = diagnostic.primary.span if diagnostic.primary else None
    return ("", 0) if span is None else (span.file.path, span.start)
