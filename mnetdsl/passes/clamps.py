"""Functions of the form min(max(x, low), high), under their several names."""

from __future__ import annotations

import math

from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.unary import Clamp

Bounds = tuple[float, float]

NAMED: dict[str, Bounds] = {"relu": (0.0, math.inf), "relu6": (0.0, 6.0)}
"""Activations that are clamps."""


def bounds_of(op: Op | None) -> Bounds | None:
    """The bounds where `op` is a clamp under any name."""
    if isinstance(op, Clamp):
        return op.low, op.high
    return None if op is None else NAMED.get(op.opcode)


def result_bounds(op: Op | None) -> Bounds | None:
    """Bounds that every element of the result of `op` obeys, being a clamp or ending in one."""
    activation = None if op is None else op.attributes.get("activation")
    if activation is None:
        return bounds_of(op)
    residual = any(d.name == "residual" and op.operand_group(d.name) for d in op.operand_defs) if op else False
    return None if residual else NAMED.get(str(activation))


def compose(inner: Bounds, outer: Bounds) -> Bounds:
    """Bounds of the clamp that is `outer` after `inner`."""
    low, high = (min(max(bound, outer[0]), outer[1]) for bound in inner)
    return low, high


def name_of(bounds: Bounds) -> str | None:
    """The opcode of the activation with these bounds, if it has one."""
    return next((name for name, known in NAMED.items() if known == bounds), None)
