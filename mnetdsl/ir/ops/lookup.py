"""A function of stored numbers, as a table."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Operand
from mnetdsl.ir.types import ElementType, TensorType

TABLE_SIZES = {ElementType.I8: 256, ElementType.U8: 256, ElementType.I16: 513}
"""Entries by element of the input. int16 interpolates between entries 128 apart (TensorFlow Lite's int16 tables)."""


class Lookup(Op):
    """Any unary function of a quantized tensor; of 8 bits it is exact.

    input [N, …, C] i8, u8 or i16; table [256], [C, 256] or [513]  ->  [N, …, C] of the table's element

    8-bit inputs index by their bits as an unsigned number: table[0] belongs to q = 0, table[255] to q = -1 of an i8.
    """

    opcode = "lookup"
    input = Operand()
    table = Operand()

    def infer(self) -> TensorType:
        shape, entries = self.table.type.shape, TABLE_SIZES.get(self.input.type.element)
        if entries is None:
            raise ShapeError(f"`lookup` needs 8 or 16-bit integers, got {self.input.type}", "input")
        channels = self.input.type.shape[-1]
        if shape != (entries,) and (entries != 256 or shape != (channels, entries)):
            raise ShapeError(
                f"`lookup` of {self.input.type} needs a table of {entries}, got {self.table.type}", "table"
            )
        return TensorType(self.input.type.shape, self.table.type.element)
