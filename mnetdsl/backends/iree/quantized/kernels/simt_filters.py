"""What kernels of scalar invocations for layers with a filter share: sums of products of bytes, and their results.

An invocation makes a block of four pixels by four neighbouring channels, a word a pixel. `table` is [bias, multiplier,
right shift, left shift][columns], the last row only where the factors are raised; columns are channels padded to tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from iree.compiler.dialects import arith
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.executables import Given, Sized
from mnetdsl.backends.iree.kernels.language import Index, Memory
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.quantized.kernels.simt_words import RESULT, Factors, bytes_of, clamped, packed_bytes
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.tensors import MlirValue

OWN = 4
"""Pixels and channels of a block."""
FILTER = ("columns", "weight_zero", *RESULT)
"""Numbers that every such kernel takes: `weight_zero` is taken from weights that are stored without a sign."""
Weights = NDArray[np.int8] | NDArray[np.uint8]


@dataclass(frozen=True)
class FilterKernel(Sized):
    """`signed` says of the input's bytes whether they are, `raised` of the weights that they are not, but stored with
    their zero point."""

    INPUTS: ClassVar[tuple[str, ...]] = ("i32",) * 3
    """Map, weights, table."""
    KIND: ClassVar[str]
    signed: bool
    raised: bool
    factors: Factors

    @property
    def variants(self) -> tuple[str, ...]:
        chosen = {"u8": not self.signed, "raised": self.raised, "long": self.factors.raised}
        return tuple(name for name, there in chosen.items() if there)

    def operands(self, given: Given, table: Memory, channel: Index) -> tuple[list[MlirValue], list[list[MlirValue]]]:
        """Biases of the four channels from `channel` on, and the operands of their factors."""
        columns = given["columns"]
        bias = [table.scalar(channel + place) for place in range(OWN)]
        rows = [columns * row + channel for row in range(1, 1 + self.factors.rows)]
        return bias, [[table.scalar(row + place) for row in rows] for place in range(OWN)]

    def weight_bytes(self, given: Given, word: MlirValue) -> list[MlirValue]:
        bytes = bytes_of(word, not self.raised)
        return [arith.subi(byte, given.value("weight_zero")) for byte in bytes] if self.raised else bytes

    def added(
        self, given: Given, sums: list[MlirValue], factors: Sequence[MlirValue], weights: Sequence[MlirValue]
    ) -> list[MlirValue]:
        """`sums` [pixel][channel] and the products of words of four depths, one a pixel and one a channel."""
        left = [bytes_of(word, self.signed) for word in factors]
        right = [self.weight_bytes(given, word) for word in weights]
        for place in range(BYTES):
            products = [arith.muli(row[place], column[place]) for row in left for column in right]
            sums = [arith.addi(sum, product) for sum, product in zip(sums, products, strict=True)]
        return sums

    def finished(self, given: Given, sums: Sequence[MlirValue], operands: Sequence[Sequence[MlirValue]]) -> MlirValue:
        """The word of four channels' sums."""
        result = [given.value(name) for name in RESULT]
        scaled = [self.factors.scale(sum, operand) for sum, operand in zip(sums, operands, strict=True)]
        return packed_bytes([clamped(x, result) for x in scaled])


def weight_words(taps: Weights, depth: int, columns: int, zero: int) -> NDArray[np.int32]:
    """Weights [..., K, O] as kernels take them: [..., K / 4, columns], a word holding four depths of one channel, K
    padded to `depth` with `zero`, which stands for 0."""
    *outer, rows, channels = taps.shape
    padded = np.pad(taps, [*[(0, 0)] * len(outer), (0, depth - rows), (0, columns - channels)], constant_values=zero)
    quads = np.moveaxis(padded.reshape(*outer, depth // BYTES, BYTES, columns), -2, -1)
    return np.ascontiguousarray(quads).view("<i4").reshape(-1)


def channel_words(taps: Weights) -> NDArray[np.int32]:
    """Weights [..., O] of depthwise layers: [..., O / 4], a word holding one tap of four channels."""
    channels = taps.shape[-1]
    padded = np.pad(taps, [*[(0, 0)] * (taps.ndim - 1), (0, padded_size(channels, BYTES) - channels)])
    return np.ascontiguousarray(padded).view("<i4").reshape(-1)
