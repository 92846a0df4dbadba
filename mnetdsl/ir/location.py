"""Where an operation comes from: its hierarchical layer name and the line the user wrote."""

from __future__ import annotations

from dataclasses import dataclass

from mnetdsl.source import Span


@dataclass(frozen=True)
class Location:
    """`name` is the layer (`body.3.depthwise.conv`), the rest the place in the `.mnet` file."""

    name: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    @staticmethod
    def of(span: Span, name: str = "") -> Location:
        return Location(name, span.file.path, span.line, span.column)

    def named(self, name: str) -> Location:
        return Location(name, self.file, self.line, self.column)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else "?"


UNKNOWN = Location()
"""Of operations that no text names."""
