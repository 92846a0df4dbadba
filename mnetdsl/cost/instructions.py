"""Instructions of the generated integer kernels on a core, predicted before anything is built.

A call of a kernel costs a sum: how often each of its loops turns, times what a turn takes. The turns are exact
(`mnetdsl.backends.c.trips`); what they take on a core is in `instructions.json`, which benchmarks/cost_model.py fits to
measurements in QEMU.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

Figures = Mapping[str, Sequence[float]]
_SAME_INTEGERS = {"cortex-m4": "cortex-m3", "cortex-m7": "cortex-m3", "cortex-m33": "cortex-m3"}
"""Cores whose portable integer kernels compile to what another core runs, on which all of them were measured."""
_WITH_FLOATS = ("f32", "quantize")


@dataclass(frozen=True)
class Work:
    """One call of a kernel.

    keys: names under which figures may be known, the most exact first. sizes: what they are multiplied by.
    """

    keys: tuple[str, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Cost:
    """Work that a program does so many times."""

    work: Work
    times: int = 1


def moved(kernel: str, bytes: int) -> Work:
    """Of a call that moves bytes and belongs to no operation."""
    return Work((kernel,), (bytes, 1))


def known_cores() -> tuple[str, ...]:
    """Cores that have figures."""
    return tuple(_model())


def expected(core: str, costs: Sequence[Cost]) -> int | None:
    """Instructions of a layer that does all of this; None where some of its kernels were not measured on `core`."""
    found = [(predict(core, cost.work), cost.times) for cost in costs]
    if any(count is None for count, _ in found):
        return None
    return round(sum((count or 0) * times for count, times in found))


def predict(core: str, call: Work) -> float | None:
    """Instructions of a call; None where no such kernel was measured on `core`, or on one with the same integers."""
    found = _figures(core, call)
    if found is None and core in _SAME_INTEGERS and not any(part in call.keys[0] for part in _WITH_FLOATS):
        found = _figures(_SAME_INTEGERS[core], call)
    if found is None or len(found) != len(call.sizes):
        return None
    return sum(figure * size for figure, size in zip(found, call.sizes, strict=True))


def forget() -> None:
    """Reads the figures anew when they are asked for again: they were written in between."""
    _model.cache_clear()


def _figures(core: str, call: Work) -> Sequence[float] | None:
    figures = _model().get(core, {})
    return next((figures[key] for key in call.keys if key in figures), None)


@cache
def _model() -> dict[str, Figures]:
    file = files("mnetdsl.cost") / "instructions.json"
    if not file.is_file():
        return {}  # before the first fit
    model: dict[str, Figures] = json.loads(file.read_text(encoding="utf-8"))["figures"]
    return model
