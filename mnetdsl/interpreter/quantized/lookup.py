"""A function of stored integers, as a table."""

from __future__ import annotations

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.ir.ops.lookup import Lookup as LookupOp
from mnetdsl.numerics import tables, wide_tables


def lookup(op: LookupOp, frame: Frame) -> Array:
    q, table = frame[op.input], frame[op.table]
    return wide_tables.wide_lookup(q, table) if q.dtype.itemsize == 2 else tables.lookup(q, table)
