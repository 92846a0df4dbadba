"""The vocabulary of kernels on bytes, beside `kernels.language`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, vector

from mnetdsl.backends.iree.kernels.bfloat import intrinsic
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, spread

QUAD = 4
"""Bytes that an instruction multiplies and adds up in each 32-bit lane."""
_DOTS = {16: "llvm.x86.avx512.vpdpbusd.512", 8: "llvm.x86.avx512.vpdpbusd.256"}


def integer(bits: int) -> Any:
    return mlir.IntegerType.get_signless(bits)


def vector_of(lanes: int, bits: int) -> Any:
    return mlir.VectorType.get([lanes], integer(bits))


def splat(value: int, type: Any) -> MlirValue:
    """An integer vector whose lanes all have `value`."""
    number = mlir.IntegerAttr.get(type.element_type, value)
    return arith.constant(type, mlir.DenseElementsAttr.get_splat(type, number))


def dot(sums: MlirValue, numbers: MlirValue, weights: MlirValue) -> MlirValue:
    """i32 sums, each plus the products of four unsigned bytes of `numbers` and four signed ones of `weights`."""
    (result,) = intrinsic(_DOTS[sums.type.shape[0]], [sums, numbers, weights], sums.type)
    return result


def spread_quad(memory: Memory, at: Position, lanes: int) -> MlirValue:
    """Four neighbouring bytes in every lane."""
    word = vector.extract(vector.bitcast(vector_of(1, 32), memory.vector(at, QUAD)), [], [0])
    return vector.bitcast(vector_of(QUAD * lanes, 8), spread(word, lanes))


def interleaved(rows: Sequence[MlirValue]) -> MlirValue:
    """Byte c of each of four vectors side by side, for every c."""
    lanes = rows[0].type.shape[0]
    first, second = (_shuffled(rows[i], rows[i + 1], list(range(2 * lanes))) for i in (0, 2))
    return _shuffled(first, second, [row * lanes + c for c in range(lanes) for row in range(QUAD)])


def _shuffled(left: MlirValue, right: MlirValue, order: list[int]) -> MlirValue:
    return vector.ShuffleOp(left, right, order).result


def widened(bytes: MlirValue) -> MlirValue:
    """Unsigned bytes as i32."""
    return arith.extui(mlir.VectorType.get(bytes.type.shape, integer(32)), bytes)
