"""One layer for a band of its rows: an operation of its kind on the rows that the band reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.row_axes import Windowed, row_axes
from mnetdsl.ir.core import Op, OperandArgument, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.types import TensorType
from mnetdsl.plan import Mode
from mnetdsl.plan.sweep import Axis

RuleOf = Callable[[Op], Rule[Any] | None]
BANDS = (1, 2, 4, 8, 16)
"""Rows that layers of a front may make at a time. More of them cost memory and save instructions."""


@dataclass(frozen=True)
class Variant:
    """What tells apart bands of an operation: rows that each operand gives, and padding where there is a window."""

    rows: tuple[int, ...]
    padding: tuple[int, ...] | None


def variants(op: Op, axes: Mapping[str, Axis], bands: Mapping[int, int]) -> dict[int, Variant]:
    """Of `op`, by the first row of each of its bands; `bands` tells how many there are from that one on.

    `axes` are its `row_axes`.
    """
    ends = {name: axis.reach() for name, axis in axes.items()}
    firsts = np.array(list(bands))
    lasts = firsts + np.array(list(bands.values())) - 1
    counts = [
        (ends[definition.name][1][lasts] - ends[definition.name][0][firsts] + 1).tolist()
        for definition in op.operand_defs
        if definition.name in axes
        for _ in op.operand_group(definition.name)
    ]
    rows = list(zip(*counts, strict=True))
    if not isinstance(op, Windowed):
        return {first: Variant(numbers, None) for first, numbers in zip(firsts.tolist(), rows, strict=True)}
    axis, (first, last) = axes["input"], ends["input"]
    starts = np.arange(axis.positions) * axis.stride - axis.before
    above = (first - starts)[firsts]
    below = (starts + (axis.kernel - 1) * axis.dilation - last)[lasts]
    sides = zip(firsts.tolist(), rows, above.tolist(), below.tolist(), strict=True)
    return {at: Variant(numbers, (top, bottom, op.padding[2], op.padding[3])) for at, numbers, top, bottom in sides}


def row_operation(op: Op, axes: Mapping[str, Axis], chosen: Variant) -> tuple[Op, list[Value]]:
    """`op` for one band: an operation of its kind on the rows that the band reads, with what padding these leave.

    Beside it its operands that are maps, new values. Constants are shared: drop the operands afterwards.
    """
    maps: list[Value] = []
    operands: dict[str, OperandArgument] = {}
    attributes: dict[str, AttributeValue] = dict(op.attributes)
    if chosen.padding is not None:
        attributes["padding"] = chosen.padding
    for definition in op.operand_defs:
        group = op.operand_group(definition.name)
        if definition.name in axes:
            sizes = chosen.rows[len(maps) : len(maps) + len(group)]
            group = tuple(Value(_with_rows(value.type, rows)) for value, rows in zip(group, sizes, strict=True))
            maps += group
        operands[definition.name] = group
    return type(op)(operands, attributes, op.location, op.storage), maps


def _with_rows(type: TensorType, rows: int) -> TensorType:
    return type.with_shape((type.shape[0], rows, *type.shape[2:]))


def row_mode(choice: Choice) -> Mode:
    """Strips overlap nothing, so every mode would do: the first without memory of its own."""
    return next((mode for mode in choice.modes if mode.scratch is None), choice.modes[0])


def scratch_bytes(op: Op, band: Variant, rule_of: RuleOf) -> int:
    """Of the kernels for such a band of `op`."""
    axes = row_axes(op)
    assert axes is not None
    made, _ = row_operation(op, axes, band)
    rule = rule_of(made)
    assert rule is not None
    mode = row_mode(rule.choose(made))
    made.drop_operands()
    return 0 if mode.scratch is None else mode.scratch.unit
