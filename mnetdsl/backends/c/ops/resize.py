"""resize: positions are computed at compile time, two tables an axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnetdsl.backends.c.choice import Choice, Rule, require_float
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.numerics.resize import fixed_positions, float_positions, nearest_positions
from mnetdsl.plan.tasks import apart


def title(op: Resize) -> str:
    return f"resize {op.size[0]}x{op.size[1]} {op.method}"


def choose(op: Resize) -> Choice:
    require_float(op, op.input)
    if op.method == "nearest":
        return choose_nearest(op)
    return Choice(title(op), ("resize",), ("resize",), (op.input,), (apart(1),))


def emit(op: Resize, emitter: Emitter) -> Sequence[Call]:
    return emit_nearest(op, emitter) if op.method == "nearest" else emit_bilinear(op, emitter)


def choose_nearest(op: Resize) -> Choice:
    return Choice(title(op), ("nearest",), ("nearest",), (op.input,), (apart(1),))


def emit_nearest(op: Resize, emitter: Emitter) -> Sequence[Call]:
    """Of any elements: pixels are copied."""
    tables = []
    for name, before, after in _axes(op):
        positions = nearest_positions(
            before, after, align_corners=op.align_corners, half_pixel_centers=op.half_pixel_centers
        )
        tables.append(emitter.add(f"{op.name}.{name}", positions.astype(np.int32)))
    pixel = op.type.shape[3] * op.type.element.byte_width
    sizes = (op.input.type.shape[2], *op.size, pixel)
    pointers = (emitter.address(op.input), emitter.address(op.result))
    return (Call("nearest", (*pointers, *tables, *map(str, sizes))),)


def emit_bilinear(op: Resize, emitter: Emitter, *, fixed: bool = False) -> Sequence[Call]:
    """Weights of the upper pixel in float32, or in 1/1024."""
    find = fixed_positions if fixed else float_positions
    tables = []
    for name, before, after in _axes(op):
        found = find(before, after, align_corners=op.align_corners, half_pixel_centers=op.half_pixel_centers)
        pairs = np.stack([found.lower, found.upper], axis=1).astype(np.int32)
        weights = found.weight.astype(np.int32 if fixed else np.float32)
        tables.append(emitter.add(f"{op.name}.{name}", pairs, "lower and upper"))
        tables.append(emitter.add(f"{op.name}.{name}.weight", weights))
    pointers = (emitter.address(op.input), emitter.address(op.result))
    sizes = (op.input.type.shape[2], *op.size, op.type.shape[3])
    return (Call(emitter.choice.functions[0], (*pointers, *tables, *map(str, sizes))),)


def _axes(op: Resize) -> tuple[tuple[str, int, int], ...]:
    """Name, size before and size after of both axes."""
    _, height, width, _ = op.input.type.shape
    return ("rows", height, op.size[0]), ("columns", width, op.size[1])


RULE: Rule[Resize] = Rule(choose, emit)
