"""How many classes a tensor is about: one score each on its last axis, or indices of them."""

from __future__ import annotations

from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.argmax import Argmax
from mnetdsl.ir.types import ElementType


def holds_indices(value: Value) -> bool:
    """Whether its elements are numbers of classes, as `argmax` gives them, and no scores."""
    return value.type.element is ElementType.I32


def class_counts(value: Value) -> frozenset[int]:
    """Of scores the size of the last axis; of indices how many scores each `argmax` had that they come from."""
    if not holds_indices(value):
        return frozenset((value.type.shape[-1],))
    found: set[int] = set()
    waiting, seen = [value], {value}
    while waiting:
        op = waiting.pop().producer
        if isinstance(op, Argmax):
            found.add(op.input.type.shape[-1])
        elif op is not None:
            new = [operand for operand in op.operands if operand not in seen]
            seen.update(new)
            waiting += new
    return frozenset(found)
