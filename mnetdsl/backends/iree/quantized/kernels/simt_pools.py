"""Pools over height and width on bytes for scalar invocations: four neighbouring channels, a word, together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.integers import i32
from mnetdsl.backends.iree.kernels.executables import Call, Given, Sized
from mnetdsl.backends.iree.kernels.language import Memory, Position, accumulate
from mnetdsl.backends.iree.kernels.simt.language import THREADS, barrier, shared, thread, where_below
from mnetdsl.backends.iree.quantized.kernels.simt_maps import factor_names, scaled
from mnetdsl.backends.iree.quantized.kernels.simt_words import RESULT, bytes_of, clamped, packed_bytes
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.tensors import MlirValue, number


@dataclass(frozen=True)
class SimtByteMean(Sized):
    """The mean over all pixels. A workgroup a word: each invocation sums every 64th pixel, the first one the sums.

    `offset` is pixels * zero point, which is taken from the sum.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("pixels", "across", "offset", *factor_names("mean"), *RESULT)
    signed: bool

    @property
    def name(self) -> str:
        return f"simt_bytes_mean_{'i8' if self.signed else 'u8'}"

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("i32",)

    def call(self, pixels: int, across: int, numbers: dict[str, int]) -> Call:
        return Call((across, 1), {"pixels": pixels, "across": across} | numbers, across)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, target = memories
        parts = shared(THREADS * BYTES, i32())
        me, word = thread(), group[0]

        def add(pixel: Position, sums: list[MlirValue]) -> list[MlirValue]:
            found = bytes_of(source.scalar(given["across"] * pixel + word), self.signed)
            return [arith.addi(sum, byte) for sum, byte in zip(sums, found, strict=True)]

        def join(part: Position, sums: list[MlirValue]) -> list[MlirValue]:
            return [arith.addi(sum, parts.scalar(part * BYTES + place)) for place, sum in enumerate(sums)]

        zeros = [number(0, i32())] * BYTES
        for place, sum in enumerate(accumulate(me, given["pixels"], zeros, add, THREADS)):
            parts.store_scalar(sum, me * BYTES + place)
        barrier()
        with where_below(me, 1):
            sums = accumulate(0, THREADS, zeros, join)
            result = [given.value(name) for name in RESULT]
            steps = [arith.subi(sum, given.value("offset")) for sum in sums]
            target.store_scalar(packed_bytes([clamped(scaled(given, x, "mean"), result) for x in steps]), word)
