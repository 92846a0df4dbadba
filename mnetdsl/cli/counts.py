"""`--instructions N`: a budget of instructions for one inference."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import click

_COUNT = re.compile(r"(\d+(?:\.\d+)?)([KMG]?)")
_UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def parse_count(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """A number as people write it: `7800000`, `7.8M`. Thousands are decimal here, as instructions are no memory."""
    if value is None:
        return None
    match = _COUNT.fullmatch(value.upper())
    found = int(Decimal(match[1]) * _UNITS[match[2]]) if match is not None else 0
    if found < 1:
        raise click.BadParameter(f"{value!r} is no number of instructions; write for instance 7800000 or 7.8M")
    return found


def instructions_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Of commands with a `--target`."""
    return click.option(
        "--instructions",
        callback=parse_count,
        metavar="N",
        help="Instructions that an inference may take by prediction, such as 7.8M: the least RAM within them.",
    )(command)


def feed_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """How generated C is given its image."""
    return click.option(
        "--feed",
        type=click.Choice(["image", "rows"]),
        default="image",
        show_default=True,
        help="rows: C that takes the image row by row as a camera gives it, in far less RAM; whole images work too.",
    )(command)
