"""Softmax over the last axis, shifted by the row's largest value."""

from __future__ import annotations

from math import inf

from iree.compiler.dialects import arith, math

from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import Indexed, MlirValue, elementwise, reduced, shape_of, whole
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.softmax import Softmax


def emit_softmax(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Softmax)
    source = scope.value(op.input)
    shape = shape_of(source)
    axis = len(shape) - 1
    rows = tuple(range(axis))
    largest = reduced(source, [axis], -inf, arith.maximumf)
    powers = elementwise(
        shape, [whole(source), Indexed(largest, rows)], lambda x, largest: math.exp(arith.subf(x, largest))
    )
    total = reduced(powers, [axis], 0.0, arith.addf)
    return elementwise(shape, [whole(powers), Indexed(total, rows)], arith.divf)
