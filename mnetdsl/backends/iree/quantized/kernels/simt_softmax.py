"""Softmax of bytes for scalar invocations, a workgroup a row (`numerics.softmax`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.integers import divided, i32
from mnetdsl.backends.iree.kernels.executables import Call, Given, Sized
from mnetdsl.backends.iree.kernels.language import Memory, Position, accumulate, loop
from mnetdsl.backends.iree.kernels.simt.language import THREADS, barrier, shared, thread
from mnetdsl.backends.iree.quantized.kernels.simt_maps import as_index
from mnetdsl.backends.iree.quantized.kernels.simt_words import (
    LONG,
    RESULT,
    byte_at,
    bytes_of,
    clamped,
    packed_bytes,
    sign,
    words_of,
)
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.quantized.softmax import LOWEST, reciprocal, share
from mnetdsl.backends.iree.tensors import MlirValue, number
from mnetdsl.numerics.softmax import ENTRIES, SUM_BITS


@dataclass(frozen=True)
class SimtByteSoftmax(Sized):
    """`powers` [256] are those of the distance to a row's largest number; each invocation takes every 64th channel."""

    KIND: ClassVar[str] = "simt_bytes_softmax"
    INPUTS: ClassVar[tuple[str, ...]] = ("i32", "i32")
    """Map, powers."""
    NUMBERS: ClassVar[tuple[str, ...]] = ("channels", "words", *RESULT)
    signed: bool

    @property
    def variants(self) -> tuple[str, ...]:
        return (sign(self.signed),)

    def call(self, rows: int, channels: int, result: dict[str, int]) -> Call:
        across = words_of(channels)
        return Call((rows, 1), {"channels": channels, "words": across} | result, rows * across)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, powers, target = memories
        parts = shared(THREADS, i32())
        me, words = thread(), given["words"]
        start = words * group[0]

        def power(q: MlirValue, largest: MlirValue) -> MlirValue:
            """What pads the last word may be above the largest number."""
            return powers.scalar(as_index(arith.andi(arith.subi(largest, q), number(ENTRIES - 1, i32()))))

        def over_row(
            combine: Callable[[MlirValue, MlirValue], MlirValue], first: int, value: Callable[..., MlirValue]
        ) -> MlirValue:
            """`combine` over `value` of each of the row's numbers, beginning with `first`; known to all invocations."""

            def own(channel: Position, so_far: list[MlirValue]) -> list[MlirValue]:
                return [combine(so_far[0], value(byte_at(source, start * BYTES + channel, self.signed)))]

            def joined(part: Position, so_far: list[MlirValue]) -> list[MlirValue]:
                return [combine(so_far[0], parts.scalar(part))]

            beginning = [number(first, i32())]
            (found,) = accumulate(me, given["channels"], beginning, own, THREADS)
            parts.store_scalar(found, me)
            barrier()
            (total,) = accumulate(0, THREADS, beginning, joined)
            barrier()
            return total

        largest = over_row(arith.maxsi, LOWEST, lambda q: q)
        total = over_row(arith.addi, 0, lambda q: divided(power(q, largest), number(SUM_BITS, i32())))
        factor = reciprocal(LONG, total)
        result = [given.value(name) for name in RESULT]
        with loop(me, words, THREADS) as word:
            numbers = bytes_of(source.scalar(start + word), self.signed)
            shares = [share(LONG, power(q, largest), total, factor) for q in numbers]
            target.store_scalar(packed_bytes([clamped(x, result) for x in shares]), start + word)
