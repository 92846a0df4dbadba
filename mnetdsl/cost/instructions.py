"""Instructions of the generated integer kernels on a core, predicted from sizes before anything is built.

A layer costs a sum of its sizes (calls, pixels, elements, taps) times figures that belong to its kernel on a core. The
figures are in `instructions.json`, which benchmarks/cost_model.py fits to measurements in QEMU.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import prod
from typing import Any

from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

Figures = Mapping[str, Sequence[float]]
_VARIANT = re.compile(r"_\d.*")
_SAME_INTEGERS = {"cortex-m4": "cortex-m3", "cortex-m7": "cortex-m3", "cortex-m33": "cortex-m3"}
"""Cores whose portable integer kernels compile to what another core runs, on which all of them were measured."""
_WITH_FLOATS = ("f32", "quantize")
_NUMBERS = re.compile(r"\d+")
"""In the names of kernels made for certain sizes, which differ in nothing else."""
_ELEMENTS = re.compile(r"(_(i8|u8|i16|f32)){2}$")


@dataclass(frozen=True)
class Work:
    """A layer as the model sees it.

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


def expected(core: str, costs: Sequence[Cost]) -> int | None:
    """Instructions of a layer that does all of this; None where some of its kernels were not measured on `core`."""
    found = [(predict(core, cost.work), cost.times) for cost in costs]
    if any(count is None for count, _ in found):
        return None
    return sum((count or 0) * times for count, times in found)


def work(op: Op | None, functions: Sequence[str]) -> Work:
    """Of the layer that computes `op` by calls of the kernels `functions`; None copies a value to an output."""
    calls = len(functions)
    function = functions[0] if functions else ""
    kind, sizes = _sizes(op)
    base = _VARIANT.sub("", function)
    alike = _NUMBERS.sub("N", function) if base != function else base
    names = (function, alike, base, _ELEMENTS.sub("", base))
    return Work(tuple(dict.fromkeys(f"{name}{kind}" for name in names)), (*sizes, calls))


def known_cores() -> tuple[str, ...]:
    """Cores that have figures."""
    return tuple(_model())


def predict(core: str, layer: Work) -> int | None:
    """Instructions of a layer; None where no such kernel was measured on `core`, or on one with the same integers."""
    figures: Figures = _model().get(core, {})
    found = next((figures[key] for key in layer.keys if key in figures), None)
    if found is None and core in _SAME_INTEGERS and not any(part in layer.keys[0] for part in _WITH_FLOATS):
        portable: Figures = _model().get(_SAME_INTEGERS[core], {})
        found = next((portable[key] for key in layer.keys if key in portable), None)
    if found is None or len(found) != len(layer.sizes):
        return None
    return round(sum(figure * size for figure, size in zip(found, layer.sizes, strict=True)))


def forget() -> None:
    """Reads the figures anew when they are asked for again: they were written in between."""
    _model.cache_clear()


def _sizes(op: Op | None) -> tuple[str, tuple[int, ...]]:
    """What distinguishes kernels of one name, and the sizes that count beside the number of calls.

    Those that a single measurement should be explained by come first.
    """
    if op is None:
        return "", ()
    elements, channels = op.type.elements, op.type.shape[-1]
    if isinstance(op, Conv2d | Dense):
        taps = prod(op.filter.type.shape[:-1])
        pixels = elements // channels
        kind = " odd" if taps % 4 else ""
        kind += " residual" if isinstance(op, Conv2d) and op.residual is not None else ""
        return kind, (elements * taps, elements, pixels * taps, pixels, taps * channels, channels)
    if isinstance(op, DepthwiseConv2d):
        height, width = op.filter.type.shape[:2]
        _, rows, columns, _ = op.type.shape
        kind = f" {height}x{width}/{op.strides[0]}"
        border = 2 * (rows + columns) * channels
        return kind, (elements, border, rows * columns, rows * channels, rows, channels)
    return "", (op.operands[0].type.elements if op.operands else 0, elements, channels)


@cache
def _model() -> dict[str, dict[str, Any]]:
    file = files("mnetdsl.cost") / "instructions.json"
    if not file.is_file():
        return {}  # before the first fit
    model: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["figures"]
    return model
