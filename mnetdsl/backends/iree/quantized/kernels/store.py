"""The sums of a block to memory: four vectors at a time where saturating packs take them together (AVX-512)."""

from __future__ import annotations

from collections.abc import Sequence

from iree.compiler.dialects import vector

from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position
from mnetdsl.backends.iree.quantized.kernels.bytes import vector_of
from mnetdsl.backends.iree.quantized.kernels.finish import Finish
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish

TOGETHER = 4
PACKED = 16
"""Lanes of the vectors that are packed."""


def store_bytes(
    finish: Finish | FloatFinish,
    target: Memory,
    sums: Sequence[MlirValue],
    loaded: Sequence[list[MlirValue]],
    places: Sequence[Position],
) -> None:
    """Each of `sums` as bytes at its place; `loaded` is what `finish` loaded for the channels of each."""
    lanes = sums[0].type.shape[0]
    whole = len(sums) // TOGETHER * TOGETHER if lanes == PACKED else 0
    for first in range(0, whole, TOGETHER):
        four = range(first, first + TOGETHER)
        packed = finish.packed([finish.numbers(sums[i], loaded[i]) for i in four])
        for i, bytes in zip(four, split(packed, TOGETHER), strict=True):
            target.store(bytes, places[i])
    for i in range(whole, len(sums)):
        target.store(finish.bytes(sums[i], loaded[i]), places[i])


def split(bytes: MlirValue, parts: int) -> list[MlirValue]:
    """What `Finish.packed` gave as `parts` runs: of vectors in pairs, whose channels are in `tiles.tile_order`, or each
    of its own."""
    size = PACKED * TOGETHER // parts
    groups, bits = (8, 64) if parts == 2 else (16, 32)
    order = [place for part in range(parts) for place in range(part, groups, parts)]
    wide = vector.bitcast(vector_of(groups, bits), bytes)
    sorted = vector.bitcast(bytes.type, vector.ShuffleOp(wide, wide, order).result)
    type = vector_of(size, 8)
    return [vector.ExtractStridedSliceOp(type, sorted, [part * size], [size], [1]).result for part in range(parts)]
