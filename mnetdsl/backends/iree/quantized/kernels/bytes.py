"""The vocabulary of kernels on bytes, beside `kernels.language`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, vector
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.bfloat import intrinsic
from mnetdsl.backends.iree.kernels.isa import ByteIsa
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, spread

Dot = Callable[[MlirValue, MlirValue, MlirValue], MlirValue]
"""Sums, numbers and weights to sums."""

QUAD = 4
"""Neighbouring bytes of a row that are taken together."""
_FLIP = -128


def integer(bits: int) -> Any:
    return mlir.IntegerType.get_signless(bits)


def vector_of(lanes: int, bits: int) -> Any:
    return mlir.VectorType.get([lanes], integer(bits))


def splat(value: int, type: Any) -> MlirValue:
    """An integer vector whose lanes all have `value`."""
    number = mlir.IntegerAttr.get(type.element_type, value)
    return arith.constant(type, mlir.DenseElementsAttr.get_splat(type, number))


def dot(isa: ByteIsa, sums: MlirValue, numbers: MlirValue, weights: MlirValue) -> MlirValue:
    """i32 sums, each plus the products of its numbers, as `operands` and `column` give them, and its weights."""
    return _DOTS[isa.name](sums, numbers, weights)


def multiplied(
    isa: ByteIsa, sums: Sequence[MlirValue], rows: Sequence[Sequence[MlirValue]], taps: Sequence[MlirValue]
) -> list[MlirValue]:
    """Sums [rows, vectors] of a block plus those of a quad. `rows` as `operands` gives them; taps
    [parts, instructions, vectors]."""
    vectors = len(sums) // len(rows)
    found = list(sums)
    # Row by row, so that what a row takes is gone before the next one comes.
    for place, numbers in enumerate(rows):
        for slot in range(len(taps) // vectors):
            for j in range(vectors):
                at = place * vectors + j
                found[at] = dot(isa, found[at], numbers[slot % len(isa.order)], taps[slot * vectors + j])
    return found


def _quads(sums: MlirValue, numbers: MlirValue, weights: MlirValue) -> MlirValue:
    name = {16: "llvm.x86.avx512.vpdpbusd.512", 8: "llvm.x86.avx512.vpdpbusd.256"}[sums.type.shape[0]]
    return called(name, [sums, numbers, weights], sums.type)


def _pairs(sums: MlirValue, numbers: MlirValue, weights: MlirValue) -> MlirValue:
    name = {16: "llvm.x86.avx512.pmaddw.d.512", 8: "llvm.x86.avx2.pmadd.wd"}[sums.type.shape[0]]
    return arith.addi(sums, called(name, [numbers, weights], sums.type))


def _signed_quads(sums: MlirValue, numbers: MlirValue, weights: MlirValue) -> MlirValue:
    # The last operand may be a lane, which the instruction itself spreads.
    return called("llvm.aarch64.neon.sdot.v4i32.v16i8", [sums, weights, numbers], sums.type)


def _singles(sums: MlirValue, numbers: MlirValue, weights: MlirValue) -> MlirValue:
    return arith.addi(sums, called("llvm.aarch64.neon.smull.v4i32", [weights, numbers], sums.type))


def _halves(dot: Dot) -> Dot:
    """`dot` on both halves of the sums, whose numbers may be the same."""

    def both(sums: MlirValue, numbers: MlirValue, weights: MlirValue) -> MlirValue:
        lanes = sums.type.shape[0] // 2
        each = weights.type.shape[0] // 2
        found = [
            dot(
                _part(sums, half * lanes, lanes),
                numbers if numbers.type.shape[0] == each else _part(numbers, half * each, each),
                _part(weights, half * each, each),
            )
            for half in range(2)
        ]
        return _shuffled(found[0], found[1], list(range(2 * lanes)))

    return both


_DOTS: dict[str, Dot] = {
    "avx512-vnni": _quads,
    "avx512": _pairs,
    "avx-vnni": _quads,
    "avx2": _pairs,
    "neon-dotprod": _halves(_signed_quads),
    "neon": _halves(_singles),
}
"""By the name of the row in `kernels.isa`."""


def operands(isa: ByteIsa, memory: Memory, at: Position, quads: int = 1) -> list[list[MlirValue]]:
    """[quads, instructions a quad]: neighbouring bytes of a row, in every lane."""
    if isa.split == 1:
        return [_spread(isa, memory, at + quad * QUAD) for quad in range(quads)]
    bytes = memory.vector(at, QUAD * quads)
    if isa.wide:
        halves = arith.extui(vector_of(QUAD * quads, 16), bytes)
        lanes = isa.lanes // isa.split
        return [
            [_shuffled(halves, halves, [quad * QUAD + place] * lanes) for (place,) in isa.order]
            for quad in range(quads)
        ]
    flipped = arith.xori(bytes, splat(_FLIP, bytes.type))
    lanes = isa.lanes // isa.split
    return [[_shuffled(flipped, flipped, [quad * QUAD + i for i in range(QUAD)] * lanes)] for quad in range(quads)]


def _spread(isa: ByteIsa, memory: Memory, at: Position) -> list[MlirValue]:
    word = vector.extract(vector.bitcast(vector_of(1, 32), memory.vector(at, QUAD)), [], [0])
    words = spread(word, isa.lanes)
    if not isa.wide:
        return [vector.bitcast(vector_of(QUAD * isa.lanes, 8), words)]
    halves = vector.bitcast(vector_of(2 * isa.lanes, 16), words)
    return [arith.andi(halves, splat(0xFF, halves.type)), arith.shrui(halves, splat(8, halves.type))]


def column(isa: ByteIsa, rows: Sequence[MlirValue]) -> list[MlirValue | None]:
    """Of bytes of up to four rows, lanes being their channels, what each instruction of a quad takes; None where it
    takes no row. Missing rows have any content."""
    found: list[MlirValue | None] = []
    for places in isa.order:
        if places[0] >= len(rows):
            found.append(None)
            continue
        bytes = interleaved([rows[min(place, len(rows) - 1)] for place in places])
        if isa.wide:
            bytes = arith.extui(vector_of(bytes.type.shape[0], 16), bytes)
        found.append(arith.xori(bytes, splat(_FLIP, bytes.type)) if isa.signed else bytes)
    return found


def border_column(isa: ByteIsa, border: int, rows: int) -> list[MlirValue | None]:
    """As `column`, of `rows` rows that all hold an unsigned byte."""
    type = vector_of(len(isa.order[0]) * isa.lanes, 16 if isa.wide else 8)
    value = border if isa.wide else _signed_byte(border - 128 if isa.signed else border)
    return [splat(value, type) if places[0] < rows else None for places in isa.order]


def _signed_byte(value: int) -> int:
    return value - 256 if value > 127 else value


def ordered(isa: ByteIsa, quads: NDArray[np.int16], axis: int) -> NDArray[Any]:
    """Weights with an axis of quads, of 4, as [..., instructions, depths of each, ...] of the type that these take."""
    taken: NDArray[Any] = np.take(quads, np.array(isa.order), axis=axis)
    return taken.astype(np.int16 if isa.wide else np.int8)


def weight_type(isa: ByteIsa) -> str:
    return "i16" if isa.wide else "i8"


def interleaved(rows: Sequence[MlirValue]) -> MlirValue:
    """Byte c of each of one, two or four vectors side by side, for every c."""
    lanes = rows[0].type.shape[0]
    if len(rows) == 1:
        return rows[0]
    pairs = [_shuffled(rows[i], rows[i + 1], list(range(2 * lanes))) for i in range(0, len(rows), 2)]
    order = [row * lanes + c for c in range(lanes) for row in range(len(rows))]
    return _shuffled(pairs[0], pairs[-1], order)


def _shuffled(left: MlirValue, right: MlirValue, order: list[int]) -> MlirValue:
    return vector.ShuffleOp(left, right, order).result


def _part(value: MlirValue, start: int, count: int) -> MlirValue:
    type = mlir.VectorType.get([count], value.type.element_type)
    return vector.ExtractStridedSliceOp(type, value, [start], [count], [1]).result


def called(name: str, operands: list[MlirValue], type: Any) -> MlirValue:
    """The result of one of LLVM's intrinsics."""
    (result,) = intrinsic(name, operands, type)
    return result


def packed_words(numbers: Sequence[MlirValue]) -> list[MlirValue]:
    """Four vectors of 16 i32 numbers as two of 32 signed words, saturated: each four numbers of the first vector beside
    four of the second."""
    name = "llvm.x86.avx512.packssdw.512"
    return [called(name, list(numbers[i : i + 2]), vector_of(32, 16)) for i in (0, 2)]


def packed_bytes(words: Sequence[MlirValue], *, signed: bool) -> MlirValue:
    """What `packed_words` gave as 64 bytes, saturated: each four numbers of all four vectors beside each other."""
    name = f"llvm.x86.avx512.pack{'ss' if signed else 'us'}wb.512"
    return called(name, list(words), vector_of(64, 8))


def widened(bytes: MlirValue) -> MlirValue:
    """Unsigned bytes as i32."""
    return arith.extui(mlir.VectorType.get(bytes.type.shape, integer(32)), bytes)
