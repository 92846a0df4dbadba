"""What every import gives: files, and how they were arrived at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mnetdsl.sema.values import Value


@dataclass(frozen=True)
class Fact:
    """Something that was found out, and from what: `alpha`, `0.25`, "stem.conv has 8 channels"."""

    name: str
    value: str
    why: str


@dataclass(frozen=True)
class Imported:
    """`files` are `<name>.mnet`, `<name>.safetensors` and what else belongs to them. `surplus` and `counters` were in
    the source and are left out; `notes` says what was done on the way."""

    name: str
    network: str
    library: str
    parameters: Mapping[str, Value]
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]
    matched: int
    surplus: tuple[str, ...]
    counters: tuple[str, ...]
    files: Mapping[str, bytes]
