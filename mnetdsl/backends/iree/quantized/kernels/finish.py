"""Sums to stored bytes in vectors: `multiply_by_quantized_multiplier` with the bits of `integers.Wide`.

Even and odd lanes are multiplied to 64 bits apart. The even ones are shifted right by 31 + s, which brings their result
to the lower half of their 64 bits; the odd ones by s - 1, which brings it to the upper half, where it belongs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from iree.compiler.dialects import arith, vector
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.executables import Buffer
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position
from mnetdsl.backends.iree.quantized.kernels.bytes import packed_bytes, packed_words, splat, vector_of
from mnetdsl.numerics.requantization import ONE_BITS

Array = NDArray[Any]
ROWS = 5
"""Of the table of a vector of channels, each as long as the vector: multipliers, offsets and shifts of even and odd."""
MOST_SHIFT = 22
"""Of a factor: with the zero point above it, sums still fit 64 bits."""


@dataclass(frozen=True)
class Finish:
    """low, high: clamps of the unsigned byte. `down` says that results below the zero point exist, whose halves go
    down."""

    low: int
    high: int
    down: bool

    def buffer(self, channels: int) -> Buffer:
        """The table of all channels, as 64-bit numbers."""
        return Buffer(ROWS * channels // 2, "i64")

    def load(self, table: Memory, channel: Position, lanes: int) -> list[MlirValue]:
        """What `bytes` takes for the channels from `channel` on."""
        half = lanes // 2
        whole = table.from_(channel * ROWS // 2 if isinstance(channel, int) else channel // lanes * (ROWS * half))
        pairs, *others = [whole.vector(row * half, half) for row in range(ROWS)]
        even, odd = _halves(pairs)
        return [even, odd, *others]

    def bytes(self, sums: MlirValue, loaded: list[MlirValue]) -> MlirValue:
        """i32 sums as unsigned bytes."""
        return clamped(self.numbers(sums, loaded), self.low, self.high)

    def numbers(self, sums: MlirValue, loaded: list[MlirValue]) -> MlirValue:
        """i32 sums as results that are not clamped."""
        even, odd, even_offset, odd_offset, even_shift, odd_shift = loaded
        lanes = sums.type.shape[0]
        wide, words = vector_of(lanes // 2, 64), sums.type
        first, second = _halves(vector.bitcast(wide, sums))
        low = arith.shrsi(self._raised(arith.muli(first, even), even_offset), even_shift)
        high = arith.shrsi(self._raised(arith.muli(second, odd), odd_offset), odd_shift)
        order = [lane + lanes * (lane % 2) for lane in range(lanes)]
        return vector.ShuffleOp(vector.bitcast(words, low), vector.bitcast(words, high), order).result

    def packed(self, numbers: Sequence[MlirValue]) -> MlirValue:
        """Four vectors of `numbers` as unsigned bytes, in the order of `packed_bytes`."""
        bytes = packed_bytes(packed_words(numbers), signed=False)
        if self.low > 0:
            bytes = arith.maxui(bytes, _byte(self.low, bytes.type))
        return arith.minui(bytes, _byte(self.high, bytes.type)) if self.high < 255 else bytes

    def _raised(self, product: MlirValue, offset: MlirValue) -> MlirValue:
        if self.down:
            lower = arith.subi(offset, splat(1 << ONE_BITS, offset.type))
            negative = arith.cmpi(arith.CmpIPredicate.slt, product, splat(0, product.type))
            offset = arith.select(negative, lower, offset)
        return arith.addi(product, offset)


def _byte(value: int, type: Any) -> MlirValue:
    return splat(value - 256 if value > 127 else value, type)


def clamped(x: MlirValue, low: int, high: int) -> MlirValue:
    """i32 numbers between two unsigned bytes, as bytes: the upper bound 255 is a saturating conversion's own."""
    bounded = arith.maxsi(x, splat(low, x.type))
    return arith.trunci(vector_of(x.type.shape[0], 8), arith.minui(bounded, splat(high, x.type)))


def _halves(pairs: MlirValue) -> tuple[MlirValue, MlirValue]:
    """The lower and the upper 32 bits of 64, signs spread."""
    count = splat(32, pairs.type)
    return arith.shrsi(arith.shli(pairs, count), count), arith.shrsi(pairs, count)


def finish_table(multipliers: Array, shifts: Array, zero_point: int, lanes: int) -> Array:
    """[channels / lanes, ROWS, lanes / 2]: factors multiplier * 2^(shift - 31), shift -1 to -`MOST_SHIFT`; the result's
    zero point, as an unsigned byte, is added before the shift."""
    right = -shifts.astype(np.int64)
    offsets = (np.int64(1) << (ONE_BITS - 1)) + (np.int64(1) << (ONE_BITS - 1 + right))
    offsets = offsets + (np.int64(zero_point) << (ONE_BITS + right))
    pairs = multipliers.astype(np.int32).view(np.int64)
    columns = [pairs, offsets[::2], offsets[1::2], ONE_BITS + right[::2], right[1::2] - 1]
    return np.stack([column.reshape(-1, lanes // 2) for column in columns], axis=1)
