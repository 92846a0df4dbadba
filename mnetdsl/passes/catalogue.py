"""The list of passes for people, made from the passes themselves."""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import fields
from itertools import zip_longest

from mnetdsl.passes.base import Pass
from mnetdsl.passes.pipelines import PIPELINES
from mnetdsl.passes.registry import PASSES

WIDTH = 80
COLUMN = 26
"""Where descriptions begin; a pass's name is shorter."""


def catalogue() -> str:
    """Each pass with the first paragraph of its documentation and its options, then the pipelines."""
    lines = ["Passes:"]
    for name, kind in PASSES.items():
        lines += _entry(name, inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0])
        lines += [f"{'':{COLUMN}}  {option}" for option in _options(kind)]
    lines.append("Pipelines:")
    for name, passes in PIPELINES.items():
        entry = _entry(name, ", ".join(map(str, passes)) or "no pass")
        lines += [line.replace(", ", ",") for line in entry] if passes else entry
    return "\n".join(lines)


def _entry(name: str, text: str) -> list[str]:
    wrapped = textwrap.wrap(text, WIDTH - COLUMN, break_on_hyphens=False, break_long_words=False)
    return [f"{first:<{COLUMN}}{line}" for first, line in zip_longest([f"  {name}"], wrapped, fillvalue="")]


def _options(kind: type[Pass]) -> list[str]:
    """As `-p` takes them."""
    return [f"{field.name.replace('_', '-')}={str(field.default).lower()}" for field in fields(kind)]
