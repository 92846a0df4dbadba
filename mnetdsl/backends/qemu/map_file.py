"""The linker's map: which bytes of an image are the model's code and which are its constants."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

_CONTENT = "Linker script and memory map"
_SECTION = re.compile(r"^ (?P<name>\.[^\s]+|COMMON)\s+0x[0-9a-f]+\s+0x(?P<size>[0-9a-f]+)\s+(?P<file>\S.*)$", re.M)
_CODE = (".text", ".ARM.")
_CONSTANTS = (".rodata", ".data")
"""Initial values of variables stand in flash, too."""
_VARIABLES = (".data", ".bss", "COMMON")


@dataclass(frozen=True)
class Sizes:
    """Bytes of code, of constants and of variables with static storage."""

    code: int
    constants: int
    variables: int


def model_sizes(text: str, without: Collection[str]) -> Sizes:
    """Sums over the linked sections of a GNU ld map file, library functions included.

    without: file names of objects that are not the model's: what surrounds it in this image.
    """
    # A long section name stands on a line of its own.
    content = re.sub(r"^( \.\S+)\n\s+(?=0x)", r"\1 ", text[text.index(_CONTENT) :], flags=re.M)
    found = [
        (match["name"], int(match["size"], 16))
        for match in _SECTION.finditer(content)
        if PurePosixPath(match["file"]).name not in without
    ]

    def total(prefixes: tuple[str, ...]) -> int:
        return sum(size for name, size in found if name.startswith(prefixes))

    return Sizes(total(_CODE), total(_CONSTANTS), total(_VARIABLES))
