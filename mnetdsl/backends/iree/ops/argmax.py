"""argmax: the largest of each row, then the least index among those equal to it."""

from __future__ import annotations

from math import inf

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, linalg

from mnetdsl.backends.iree.integers import i32
from mnetdsl.backends.iree.quantized.levels import widened_map
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import Indexed, MlirValue, elementwise, number, reduced, shape_of, whole
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.argmax import Argmax


def emit_argmax(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Argmax)
    element = op.input.type.element
    source = scope.value(op.input)
    if not element.is_float:
        source = widened_map(source, element)
    shape = shape_of(source)
    axis, last = len(shape) - 1, shape[-1] - 1
    lowest, larger = (-inf, arith.maximumf) if element.is_float else (-(2**31), arith.maxsi)
    largest = reduced(source, [axis], lowest, larger)

    def body(x: MlirValue, largest: MlirValue) -> MlirValue:
        if element.is_float:
            found = arith.cmpf(arith.CmpFPredicate.OEQ, x, largest)
        else:
            found = arith.cmpi(arith.CmpIPredicate.eq, x, largest)
        index = arith.index_cast(i32(), linalg.IndexOp(axis).result)
        return arith.select(found, index, number(last, i32()))

    rows = Indexed(largest, tuple(range(axis)))
    candidates = elementwise(shape, [whole(source), rows], body, mlir.IntegerType.get_signless(32))
    return reduced(candidates, [axis], last, arith.minsi)
