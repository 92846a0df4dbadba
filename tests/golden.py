"""Golden files: small, checked in, and changed only by `pytest --update-golden`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Golden:
    """Compares a text with its golden file, or writes the file where the user asked for that."""

    update: bool

    def check(self, path: Path, text: str) -> None:
        if self.update:
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path.name} is missing: run pytest --update-golden"
        assert text == path.read_text(encoding="utf-8")
