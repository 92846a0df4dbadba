"""Finds the operations that gave two tensors their different shapes, to show both places of a conflict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mnetdsl.diagnostics import Label
from mnetdsl.ir.core import Op, Value
from mnetdsl.source import Span


def shape_labels(values: Sequence[Value], spans: Mapping[Op, Span]) -> tuple[Label, ...]:
    """For two tensors of different shape: the last operation on each one's way that made the difference."""
    if len(values) != 2 or values[0].type.rank != 4 or values[1].type.rank != 4:
        return ()
    left, right = values[0].type.shape, values[1].type.shape
    axes = (1, 2) if left[1:3] != right[1:3] else (3,)
    labels: list[Label] = []
    for value in values:
        op = _last_change(value, axes)
        if op is not None and op in spans:
            before, after = (_sizes(v, axes) for v in (op.operands[0], op.result))
            text = f"this turns {before} into {after}" if axes == (1, 2) else f"this makes {after} channels"
            label = Label(spans[op], text)
            if label not in labels:
                labels.append(label)
    return tuple(labels)


def _sizes(value: Value, axes: tuple[int, ...]) -> str:
    return "x".join(str(value.type.shape[axis]) for axis in axes)


def _last_change(value: Value, axes: tuple[int, ...]) -> Op | None:
    op = value.producer
    while op is not None and op.operands:
        source = op.operands[0]
        if source.type.rank != 4:
            return None
        if any(source.type.shape[axis] != op.type.shape[axis] for axis in axes):
            return op
        op = source.producer
    return None
