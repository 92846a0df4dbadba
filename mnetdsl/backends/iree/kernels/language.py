"""The vocabulary that own kernels are written in: indices, flat memory, vectors and loops.

Everything builds MLIR at the current insertion point (`scf`, `memref`, `vector`, `arith`, `math`). Numbers known while
building stay Python integers as long as possible, so that addresses carry them as displacements and loops of one round
vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, math, memref, scf, vector

from mnetdsl.backends.iree.kernels.bfloat import narrowed, widened

MlirValue = Any


@dataclass(frozen=True)
class Index:
    """An index known only at run time, plus a known distance from it."""

    base: MlirValue
    offset: int = 0

    def __add__(self, other: int | Index) -> Index:
        if isinstance(other, int):
            return Index(self.base, self.offset + other)
        return Index(arith.addi(self.base, other.base), self.offset + other.offset)

    __radd__ = __add__

    def __sub__(self, other: int | Index) -> Index:
        if isinstance(other, int):
            return self + -other
        return Index(arith.subi(self.base, other.base), self.offset - other.offset)

    def __mul__(self, factor: int | Index) -> Index:
        if isinstance(factor, Index):
            return Index(arith.muli(as_value(self), as_value(factor)))
        if factor == 1:
            return self
        return Index(arith.muli(self.base, _constant(factor)), self.offset * factor)

    __rmul__ = __mul__

    def __floordiv__(self, divisor: int | Index) -> Index:
        """The quotient of a value that is not negative."""
        return Index(arith.divui(as_value(self), as_value(divisor)))

    def __mod__(self, divisor: int | Index) -> Index:
        """The remainder of a value that is not negative."""
        return Index(arith.remui(as_value(self), as_value(divisor)))


Position = int | Index
"""An index, known while building or not."""


def as_value(at: Position) -> MlirValue:
    if isinstance(at, int):
        return _constant(at)
    return arith.addi(at.base, _constant(at.offset)) if at.offset else at.base


def equal(left: Position, right: Position, then: Position, otherwise: Position) -> Position:
    """`then` where left == right, else `otherwise`."""
    if isinstance(left, int) and isinstance(right, int):
        return then if left == right else otherwise
    same = arith.cmpi(arith.CmpIPredicate.eq, as_value(left), as_value(right))
    return Index(arith.select(same, as_value(then), as_value(otherwise)))


def least(left: Position, right: Position) -> Position:
    if isinstance(left, int) and isinstance(right, int):
        return min(left, right)
    return Index(arith.minsi(as_value(left), as_value(right)))


def greatest(left: Position, right: Position) -> Position:
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    return Index(arith.maxsi(as_value(left), as_value(right)))


def minus(left: int, right: Position) -> Position:
    """left - right."""
    if isinstance(right, int):
        return left - right
    return Index(arith.subi(_constant(left - right.offset), right.base))


def _constant(value: int) -> MlirValue:
    return arith.constant(mlir.IndexType.get(), value)


@contextmanager
def loop(low: Position, high: Position, step: int = 1) -> Iterator[Position]:
    """The body once for each index from `low` to below `high`; nothing of a loop remains where it runs once."""
    if isinstance(low, int) and isinstance(high, int) and low < high <= low + step:
        yield low
        return
    op = scf.ForOp(as_value(low), as_value(high), _constant(step))
    with mlir.InsertionPoint(op.body):
        yield Index(op.induction_variable)
        scf.YieldOp([])


def accumulate(
    low: Position,
    high: Position,
    initial: Sequence[MlirValue],
    body: Callable[[Position, list[MlirValue]], list[MlirValue]],
    step: int = 1,
) -> list[MlirValue]:
    """A loop that carries values in registers: `body` gets the index and the values so far, and returns the next."""
    if isinstance(low, int) and isinstance(high, int) and low < high <= low + step:
        return body(low, list(initial))
    op = scf.ForOp(as_value(low), as_value(high), _constant(step), list(initial))
    with mlir.InsertionPoint(op.body):
        scf.YieldOp(body(Index(op.induction_variable), list(op.inner_iter_args)))
    return list(op.results)


def workgroup(dimension: int, count: int) -> Position:
    """Which of `count` workgroups this is, along one dimension of the grid."""
    from iree.compiler.dialects import hal

    return 0 if count == 1 else Index(hal.interface_workgroup_id(dimension))


@dataclass(frozen=True)
class Memory:
    """A flat buffer of one element type, seen from element `start` on; `at` counts elements from there.

    Where `bfloat`, its elements are bits of bfloat16, and what is loaded and stored is float32.
    """

    reference: MlirValue
    start: Position = 0
    bfloat: bool = False

    @property
    def element(self) -> Any:
        return self.reference.type.element_type

    def from_(self, at: Position) -> Memory:
        """The same buffer from element `at` on."""
        return Memory(self.reference, self.start + at, self.bfloat)

    def bits(self) -> Memory:
        """The same buffer, whose elements are taken as they are."""
        return Memory(self.reference, self.start)

    def scalar(self, at: Position) -> MlirValue:
        loaded = memref.load(self.reference, self._indices(at))
        return widened(loaded) if self.bfloat else loaded

    def vector(self, at: Position, lanes: int) -> MlirValue:
        type = mlir.VectorType.get([lanes], self.element)
        loaded = vector.LoadOp(type, self.reference, self._indices(at)).result
        return widened(loaded) if self.bfloat else loaded

    def spread(self, at: Position, lanes: int) -> MlirValue:
        """One element in all lanes."""
        return spread(self.scalar(at), lanes)

    def store(self, value: MlirValue, at: Position) -> None:
        vector.StoreOp(narrowed(value) if self.bfloat else value, self.reference, self._indices(at))

    def store_scalar(self, value: MlirValue, at: Position) -> None:
        memref.store(value, self.reference, self._indices(at))

    def some(self, at: Position, count: int, lanes: int, otherwise: MlirValue) -> MlirValue:
        """A vector whose first `count` lanes are loaded, and no other element is touched; `otherwise` in the rest."""
        type = mlir.VectorType.get([lanes], self.element)
        return vector.MaskedLoadOp(type, self.reference, self._indices(at), first_lanes(count, lanes), otherwise).result

    def store_some(self, value: MlirValue, at: Position, count: int) -> None:
        """The first `count` lanes alone."""
        mask = first_lanes(count, value.type.shape[0])
        vector.MaskedStoreOp(self.reference, self._indices(at), mask, value)

    def prefetch(self, at: Position) -> None:
        """Asks for the cache line of an element that will be read soon; past the end does no harm."""
        memref.prefetch(self.reference, self._indices(at), False, 2, True)

    def _indices(self, at: Position) -> list[MlirValue]:
        return [as_value(self.start + at)]


@dataclass(frozen=True)
class Rows:
    """Rows of a map in memory, `pitch` elements each: all of them, or in turns the last `ring` that were written."""

    memory: Memory
    pitch: int
    ring: int | None = None

    def row(self, y: Position) -> Memory:
        slot = y if self.ring is None else y % self.ring
        return self.memory.from_(slot * self.pitch)


def spread(scalar: MlirValue, lanes: int) -> MlirValue:
    return vector.BroadcastOp(mlir.VectorType.get([lanes], scalar.type), scalar).result


def filled(value: float, type: Any) -> MlirValue:
    """A float32 value, or a vector of `type` whose lanes all have it."""
    number = mlir.FloatAttr.get(mlir.F32Type.get(), float(np.float32(value)))
    if isinstance(type, mlir.VectorType):
        return arith.constant(type, mlir.DenseElementsAttr.get_splat(type, number))
    return arith.constant(type, number)


def first_lanes(count: int, lanes: int) -> MlirValue:
    """A mask of the first `count` lanes."""
    type = mlir.VectorType.get([lanes], mlir.IntegerType.get_signless(1))
    return arith.constant(type, mlir.DenseElementsAttr.get(np.arange(lanes) < count, type=type))


def across(value: MlirValue, combine: Callable[[MlirValue, MlirValue], MlirValue]) -> MlirValue:
    """All lanes as one scalar, halves with each other."""
    (lanes,) = value.type.shape
    while lanes > 1:
        lanes //= 2
        type = mlir.VectorType.get([lanes], value.type.element_type)
        low, high = (vector.ExtractStridedSliceOp(type, value, [start], [lanes], [1]).result for start in (0, lanes))
        value = combine(low, high)
    return vector.ExtractOp(value, [], [0]).result


def zeros(type: Any) -> MlirValue:
    """A vector of integers that are all 0."""
    return arith.constant(type, mlir.DenseElementsAttr.get_splat(type, mlir.IntegerAttr.get(type.element_type, 0)))


def vector_type(lanes: int) -> Any:
    return mlir.VectorType.get([lanes], mlir.F32Type.get())


def multiply_add(left: MlirValue, right: MlirValue, sum: MlirValue) -> MlirValue:
    """left * right + sum with one rounding, one instruction where the target has it."""
    return math.fma(left, right, sum)
