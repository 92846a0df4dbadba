"""The nearest known name to a misspelt one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_TELLING = 4
"""Characters that a beginning must have to say what was meant."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` was probably meant to be, or None; equal scores go by the alphabet.

    A name that breaks off (`stm32f4`) means one that goes on from there, though others may be as like to it; one that
    is a part between hyphens or colons (`m4`) means the shortest that has it.
    """
    known = sorted(set(candidates) - {name})
    folded = {candidate.lower(): candidate for candidate in reversed(known)}
    if name.lower() in folded:
        return folded[name.lower()]
    begun = [candidate for candidate in folded if len(name) >= _TELLING and candidate.startswith(name.lower())]
    if begun:
        return folded[min(begun, key=lambda candidate: (len(candidate), candidate))]
    matches = get_close_matches(name.lower(), sorted(folded), n=1, cutoff=0.65)
    if not matches:
        holding = [candidate for candidate in folded if name.lower() in re.split("[-:]", candidate)]
        matches = sorted(holding, key=lambda candidate: (len(candidate), candidate))
    return folded[matches[0]] if matches else None


def meant(name: str, candidates: Iterable[str], otherwise: str = "") -> str:
    """The question whether it was the nearest candidate, for a label; `otherwise` where none is near."""
    suggestion = did_you_mean(name, candidates)
    return f"did you mean `{suggestion}`?" if suggestion else otherwise
