"""The nearest known name to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` was probably meant to be, or None; equal scores go by the alphabet."""
    known = sorted(set(candidates) - {name})
    folded = {candidate.lower(): candidate for candidate in reversed(known)}
    if name.lower() in folded:
        return folded[name.lower()]
    matches = get_close_matches(name.lower(), sorted(folded), n=1, cutoff=0.65)
    return folded[matches[0]] if matches else None
