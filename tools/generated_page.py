"""Pages of the documentation with tables that are counted or measured: printed, and put between their marks."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path


def replaced(page: str, parts: Mapping[str, str]) -> str:
    """`page` with each part between its marks; KeyError where a mark names no part."""

    def part(match: re.Match[str]) -> str:
        return f"{match[1]}\n{parts[match[2]]}\n{match[3]}"

    return re.sub(r"(<!-- generated: (\w+) -->)\n.*?(<!-- end -->)", part, page, flags=re.DOTALL)


def main(description: str | None, page: Path, parts: Mapping[str, str]) -> None:
    """The command that prints `parts` and, with --write, replaces those of `page`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"replace the tables of docs/{page.name}")
    if parser.parse_args().write:
        page.write_text(replaced(page.read_text(encoding="utf-8"), parts), encoding="utf-8")
    print("\n\n".join(parts.values()))
