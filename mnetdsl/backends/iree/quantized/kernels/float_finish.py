"""Sums to stored bytes in float32, where `proof` shows the same bits: half the instructions of `finish`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, math
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.bfloat import intrinsic
from mnetdsl.backends.iree.kernels.executables import Buffer
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position
from mnetdsl.backends.iree.quantized.kernels.bytes import (
    called,
    integer,
    packed_bytes,
    packed_words,
    splat,
    vector_of,
)
from mnetdsl.backends.iree.quantized.kernels.proof import Proven

Array = NDArray[Any]
HALF_RANGE = 128


@dataclass(frozen=True)
class FloatFinish:
    """low, high: clamps of the result as a signed byte; `zero_point` unless `centered`, as such too; `corrected`: sums
    of a channel that have a correction. See `proof.Steps`."""

    low: int
    high: int
    zero_point: int
    centered: bool
    corrected: int

    @property
    def _rows(self) -> int:
        return 2 + 2 * self.corrected

    def buffer(self, channels: int) -> Buffer:
        """The table of all channels."""
        return Buffer(self._rows * channels, "i32")

    def load(self, table: Memory, channel: Position, lanes: int) -> list[MlirValue]:
        """What `bytes` takes for the channels from `channel` on."""
        whole = table.from_(channel * self._rows)
        rows = [whole.vector(row * lanes, lanes) for row in range(self._rows)]
        floats = mlir.VectorType.get([lanes], mlir.F32Type.get())
        return [arith.bitcast(floats, rows[0]), arith.bitcast(floats, rows[1]), *rows[2:]]

    def bytes(self, sums: MlirValue, loaded: list[MlirValue]) -> MlirValue:
        """i32 sums as unsigned bytes."""
        found = self.numbers(sums, loaded)
        if self.zero_point:
            found = arith.addi(found, splat(self.zero_point, found.type))
        return signed_bytes(found, self.low, self.high, sums.type.shape[0])

    def numbers(self, sums: MlirValue, loaded: list[MlirValue]) -> MlirValue:
        """i32 sums as results that are neither clamped nor raised by the zero point."""
        factor, offset, *corrections = loaded
        words = sums.type
        x = arith.sitofp(factor.type, sums)
        if self.centered:
            found = rounded(math.fma(x, factor, offset))
        else:
            found = arith.fptosi(words, math.fma(x, factor, math.copysign(offset, x)))
        for sum, correction in zip(corrections[::2], corrections[1::2], strict=True):
            there = arith.cmpi(arith.CmpIPredicate.eq, sums, sum)
            found = arith.select(there, arith.addi(found, correction), found)
        return found

    def packed(self, numbers: Sequence[MlirValue]) -> MlirValue:
        """Four vectors of `numbers` as unsigned bytes, in the order of `packed_bytes`."""
        words = packed_words(numbers)
        if self.zero_point:
            zero_point = splat(self.zero_point, words[0].type)
            words = [called("llvm.sadd.sat.v32i16", [word, zero_point], word.type) for word in words]
        bytes = packed_bytes(words, signed=True)
        if self.low > -HALF_RANGE:
            bytes = arith.maxsi(bytes, splat(self.low, bytes.type))
        if self.high < HALF_RANGE - 1:
            bytes = arith.minsi(bytes, splat(self.high, bytes.type))
        return arith.xori(bytes, splat(-HALF_RANGE, bytes.type))


def signed_bytes(x: MlirValue, low: int, high: int, lanes: int) -> MlirValue:
    """i32 numbers within signed bytes, as unsigned ones; the widest bounds are a saturating conversion's own."""
    bounded = arith.minsi(arith.maxsi(x, splat(low, x.type)), splat(high, x.type))
    type = vector_of(lanes, 8)
    return arith.xori(arith.trunci(type, bounded), splat(-HALF_RANGE, type))


def rounded(x: MlirValue) -> MlirValue:
    """float32 to the nearest i32, ties to even."""
    lanes = x.type.shape[0]
    words = vector_of(lanes, 32)
    if lanes != 16:
        # MLIR itself writes the rounding out, in thirty instructions.
        return called(f"llvm.lrint.v{lanes}i32.v{lanes}f32", [x], words)
    all_lanes = arith.constant(integer(16), -1)
    by_mode = arith.constant(integer(32), 4)
    (result,) = intrinsic(
        "llvm.x86.avx512.mask.cvtps2dq.512",
        [x, splat(0, words), all_lanes, by_mode],
        words,
    )
    return result


def float_table(proven: Proven, order: Array, lanes: int) -> Array:
    """[channels / lanes, rows, lanes], as bits, the channels in `order`."""
    rows = [proven.factor.view(np.int32), proven.offset.view(np.int32)]
    for sum, correction in zip(proven.sums, proven.corrections, strict=True):
        rows += [sum, correction]
    padded = [np.pad(row, (0, len(order) - len(row)))[order] for row in rows]
    return np.stack([row.reshape(-1, lanes) for row in padded], axis=1)
