"""A function of stored integers, as a table."""

from __future__ import annotations

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, linalg, tensor

from mnetdsl.backends.iree.integers import i32
from mnetdsl.backends.iree.quantized.levels import widened
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirType, MlirValue, elementwise, number, shape_of, whole
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.types import ElementType

APART = 7
"""Bits of a 16-bit number between two entries of its table of 513."""


def emit_lookup(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Lookup)
    table = scope.value(op.table)
    source = scope.value(op.input)
    if op.input.type.element is ElementType.I16:
        return wide_lookup(source, table)
    if len(shape_of(table)) == 1:
        return looked_up(source, table)
    last = len(shape_of(source)) - 1

    def body(q: MlirValue) -> MlirValue:
        return tensor.ExtractOp(table, [linalg.IndexOp(last).result, _entry(q)]).result

    return elementwise(shape_of(source), [whole(source)], body, table.type.element_type)


def looked_up(source: MlirValue, table: MlirValue) -> MlirValue:
    """Entries of `table` [256] by the bits of the 8-bit numbers `source`."""

    def body(q: MlirValue) -> MlirValue:
        return tensor.ExtractOp(table, [_entry(q)]).result

    return elementwise(shape_of(source), [whole(source)], body, table.type.element_type)


def _entry(q: MlirValue) -> MlirValue:
    return arith.index_cast(mlir.IndexType.get(), arith.extui(i32(), q))


def wide_lookup(source: MlirValue, table: MlirValue) -> MlirValue:
    """Between the two nearest entries of `table` [513]; 16-bit numbers."""
    index, half = mlir.IndexType.get(), 1 << (APART - 1)
    short: MlirType = mlir.IntegerType.get_signless(16)

    def entry(x: MlirValue) -> MlirValue:
        return widened(tensor.ExtractOp(table, [arith.index_cast(index, x)]).result, ElementType.I16)

    def body(q: MlirValue) -> MlirValue:
        x = widened(q, ElementType.I16)
        position = arith.addi(arith.shrsi(x, number(APART, i32())), number(256, i32()))
        base = entry(position)
        slope = arith.subi(entry(arith.addi(position, number(1, i32()))), base)
        offset = arith.andi(x, number((1 << APART) - 1, i32()))
        raised = arith.addi(arith.muli(slope, offset), number(half, i32()))
        return arith.trunci(short, arith.addi(base, arith.shrsi(raised, number(APART, i32()))))

    return elementwise(shape_of(source), [whole(source)], body, short)


def table_of(scope: Scope, name: str, values: np.ndarray) -> MlirValue:
    """A table made here, as a constant; `name` belongs to it alone."""
    return scope.made(name, values.view(np.int8) if values.dtype == np.uint8 else values)
