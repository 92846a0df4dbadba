"""The pages behind `mnet explain`."""

from __future__ import annotations

from pathlib import Path


def page(code: str) -> str:
    """Markdown text about a code of `codes.CODES`: what it means, a wrong and a right example."""
    return (Path(__file__).parent / "pages" / f"{code}.md").read_text(encoding="utf-8")
