"""Tables of 256 bytes, looked up in registers, a vector of bytes at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, vector
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.isa import ByteIsa
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, least, loop
from mnetdsl.backends.iree.quantized.kernels.bytes import called, splat, vector_of

Array = NDArray[Any]
TABLE = 256
SMALL = 16
"""Entries that a shuffle of bytes takes."""
HALF = 128


@dataclass(frozen=True)
class ByteTable:
    """Entries of a table by unsigned bytes. input [size], table of `table_rows`, output [size]; size is a multiple of
    the lanes. `channels` tables, one behind the other, are those of neighbouring bytes in turn, of which there are
    `round` or more."""

    size: int
    isa: ByteIsa
    channels: int = 1
    workgroups: int = 4

    @property
    def name(self) -> str:
        return f"bytes_table_{self.size}"

    @property
    def grid(self) -> Grid:
        return share(-(-self.size // self.round), self.workgroups), 1

    @property
    def round(self) -> int:
        """Bytes from one to the next of the first channel that stands first in a vector."""
        return self.channels * self._wide

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, "i8"), Buffer(self.channels * self._rows * self._wide, "i8"))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, "i8"),)

    @property
    def _wide(self) -> int:
        """Bytes of a vector."""
        return vector_bytes(self.isa)

    @property
    def _rows(self) -> int:
        return TABLE // (SMALL if self.isa.tables == "shuffles" else self._wide)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        if self.channels > 1:
            self._emit_channels(group, *memories)
            return
        source, table, target = memories
        wide, lanes = self._wide, self.isa.lanes
        rows = [table.vector(row * self._wide, self._wide) for row in range(self._rows)]
        find = _FOUND[self.isa.tables]
        whole = self.size // wide
        each = -(-whole // self.grid[0]) * wide
        start = group[0] * each
        if whole:
            with loop(start, least(start + each, whole * wide), wide) as at:
                target.store(find(source.vector(at, wide), rows), at)
        for at in range(whole * wide, self.size, lanes):
            # Every workgroup stores the same bytes there.
            repeated = vector.ShuffleOp(*[source.vector(at, lanes)] * 2, [i % lanes for i in range(wide)]).result
            found = find(repeated, rows)
            target.store(vector.ExtractStridedSliceOp(vector_of(lanes, 8), found, [0], [lanes], [1]).result, at)

    def _emit_channels(self, group: tuple[Position, Position], source: Memory, table: Memory, target: Memory) -> None:
        wide, count = self._wide, self.channels
        tables = [
            [table.vector((channel * self._rows + row) * wide, wide) for row in range(self._rows)]
            for channel in range(count)
        ]
        find = _FOUND[self.isa.tables]
        rounds = -(-self.size // self.round)
        each = -(-rounds // self.grid[0])
        with loop(group[0] * each, least(group[0] * each + each, rounds)) as number:
            # The last round begins so that it ends with the map: a whole number of pixels before it.
            start = least(number * self.round, self.size - self.round)
            for place in range(count):
                at = start + place * wide
                bytes = source.vector(at, wide)
                found = find(bytes, tables[0])
                for channel in range(1, count):
                    own = _mask([(place * wide + i) % count == channel for i in range(wide)])
                    found = arith.select(own, find(bytes, tables[channel]), found)
                target.store(found, at)


def _mask(lanes: list[bool]) -> MlirValue:
    type = vector_of(len(lanes), 8)
    numbers = arith.constant(type, mlir.DenseElementsAttr.get(np.array(lanes, np.int8), type=type))
    return arith.cmpi(arith.CmpIPredicate.ne, numbers, splat(0, type))


def vector_bytes(isa: ByteIsa) -> int:
    return SMALL if isa.tables == "fours" else 4 * isa.lanes


def table_rows(isa: ByteIsa, table: Array) -> Array:
    """Entries [256], int8, as `ByteTable` takes them.

    For shuffles: 16 rows of 16 entries, repeated to whole vectors, each of the upper and lower eight less (in the sense
    of exclusive or) the row before it, so that those of all rows up to an index's own add up to its entry.
    """
    if isa.tables != "shuffles":
        return table
    rows = table.view(np.uint8).reshape(2, HALF // SMALL, SMALL)
    differences = np.concatenate([rows[:, :1], rows[:, 1:] ^ rows[:, :-1]], axis=1).reshape(-1, SMALL)
    return np.tile(differences, vector_bytes(isa) // SMALL).view(np.int8)


def _permuted(bytes: MlirValue, rows: list[MlirValue]) -> MlirValue:
    """VBMI: by the lower seven bits from each half of the table; the highest chooses between both."""
    name = "llvm.x86.avx512.vpermi2var.qi.512"
    halves = [called(name, [rows[i], bytes, rows[i + 1]], bytes.type) for i in (0, 2)]
    upper = arith.cmpi(arith.CmpIPredicate.slt, bytes, splat(0, bytes.type))
    return arith.select(upper, halves[1], halves[0])


def _fours(bytes: MlirValue, rows: list[MlirValue]) -> MlirValue:
    """NEON: 64 entries at a time; an index beyond them leaves what was found before."""
    type = bytes.type
    found = called("llvm.aarch64.neon.tbl4.v16i8", [*rows[:4], bytes], type)
    for first in range(4, len(rows), 4):
        moved = arith.subi(bytes, splat(_byte(first * SMALL), type))
        found = called("llvm.aarch64.neon.tbx4.v16i8", [found, *rows[first : first + 4], moved], type)
    return found


def _shuffles(bytes: MlirValue, rows: list[MlirValue]) -> MlirValue:
    """16 entries at a time by the lower four bits of an index; a negative one finds 0."""
    type = bytes.type
    shuffle = {32: "llvm.x86.avx2.pshuf.b", 64: "llvm.x86.avx512.pshuf.b.512"}[type.shape[0]]
    found = None
    for index, half in ((bytes, rows[:8]), (arith.xori(bytes, splat(-HALF, type)), rows[8:])):
        for place, row in enumerate(half):
            if place:
                index = called(f"llvm.ssub.sat.v{type.shape[0]}i8", [index, splat(SMALL, type)], type)
            part = called(shuffle, [row, index], type)
            found = part if found is None else arith.xori(found, part)
    return found


def _byte(value: int) -> int:
    return value - TABLE if value >= HALF else value


_FOUND: dict[str, Callable[[MlirValue, list[MlirValue]], MlirValue]] = {
    "vbmi": _permuted,
    "fours": _fours,
    "shuffles": _shuffles,
}
"""By `ByteIsa.tables`."""
