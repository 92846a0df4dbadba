"""Elementwise operations on bytes for scalar invocations, a word each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.executables import Call, Given, Sized
from mnetdsl.backends.iree.kernels.language import Index, Memory, Position
from mnetdsl.backends.iree.kernels.simt.language import each, elements_grid
from mnetdsl.backends.iree.quantized.kernels.simt_words import (
    LONG,
    RESULT,
    byte_at,
    bytes_of,
    clamped,
    packed_bytes,
    sign,
)
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.tensors import MlirValue

ENTRIES = 256
"""Of a table."""


def factor_names(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{part}" for part in ("multiplier", "right", "left"))


def factor_numbers(name: str, factor: tuple[int, int]) -> dict[str, int]:
    """`factor_names` of (multiplier, shift)."""
    multiplier, shift = factor
    return dict(zip(factor_names(name), (multiplier, max(-shift, 0), max(shift, 0)), strict=True))


def scaled(given: Given, x: MlirValue, name: str) -> MlirValue:
    """x times the factor that `factor_names` names."""
    return LONG.scale(x, [given.value(each) for each in factor_names(name)])


@dataclass(frozen=True)
class _Binary(Sized):
    """Two maps of one shape, or, `spread`, one and a pixel for all of its pixels. `signed` are the inputs' bytes."""

    INPUTS: ClassVar[tuple[str, ...]] = ("i32", "i32")
    KIND: ClassVar[str]
    signed: tuple[bool, bool]
    spread: bool

    @property
    def variants(self) -> tuple[str, ...]:
        return (*map(sign, self.signed), *(["spread"] if self.spread else []))

    def call(self, size: int, across: int, numbers: dict[str, int]) -> Call:
        """For `size` words, `across` of them a pixel; `numbers` are the kind's."""
        return Call(elements_grid(size), {"count": size, "across": across} | numbers, size)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        left, right, target = memories
        with each(group, given["count"]) as at:
            words = left.scalar(at), right.scalar(at % given["across"] if self.spread else at)
            steps = [
                [arith.subi(byte, given.value(f"{name}_zero")) for byte in bytes_of(word, signed)]
                for name, word, signed in zip(("left", "right"), words, self.signed, strict=True)
            ]
            result = [given.value(name) for name in RESULT]
            bytes = [clamped(self.combined(given, a, b), result) for a, b in zip(*steps, strict=True)]
            target.store_scalar(packed_bytes(bytes), at)

    def combined(self, given: Given, left: MlirValue, right: MlirValue) -> MlirValue:
        """On the grid of the result, without its zero point; operands are without theirs."""
        raise NotImplementedError


BINARY = ("count", "across", "left_zero", "right_zero", *RESULT)


@dataclass(frozen=True)
class SimtByteSum(_Binary):
    """left + right, or left - right where `difference`."""

    KIND: ClassVar[str] = "simt_bytes_sum"
    NUMBERS: ClassVar[tuple[str, ...]] = (
        *BINARY,
        "headroom",
        *(name for part in ("left", "right", "sum") for name in factor_names(part)),
    )
    difference: bool = False

    @property
    def variants(self) -> tuple[str, ...]:
        return (*super().variants, *(["difference"] if self.difference else []))

    def combined(self, given: Given, left: MlirValue, right: MlirValue) -> MlirValue:
        headroom = given.value("headroom")
        first, second = (scaled(given, arith.shli(x, headroom), name) for name, x in (("left", left), ("right", right)))
        return scaled(given, (arith.subi if self.difference else arith.addi)(first, second), "sum")


@dataclass(frozen=True)
class SimtByteProduct(_Binary):
    KIND: ClassVar[str] = "simt_bytes_product"
    NUMBERS: ClassVar[tuple[str, ...]] = (*BINARY, *factor_names("product"))

    def combined(self, given: Given, left: MlirValue, right: MlirValue) -> MlirValue:
        return scaled(given, arith.muli(left, right), "product")


@dataclass(frozen=True)
class SimtByteLookup(Sized):
    """Entries of a table [256], or, `by_channel`, of [channels, 256], by the bits of each byte."""

    INPUTS: ClassVar[tuple[str, ...]] = ("i32", "i32")
    KIND: ClassVar[str] = "simt_bytes_lookup"
    NUMBERS: ClassVar[tuple[str, ...]] = ("count", "across")
    by_channel: bool = False

    @property
    def variants(self) -> tuple[str, ...]:
        return ("by_channel",) if self.by_channel else ()

    def call(self, size: int, across: int) -> Call:
        return Call(elements_grid(size), {"count": size, "across": across}, size)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, table, target = memories
        with each(group, given["count"]) as at:
            entries = [as_index(byte) for byte in bytes_of(source.scalar(at), signed=False)]
            if self.by_channel:
                channel = at % given["across"] * BYTES
                entries = [(channel + place) * ENTRIES + entry for place, entry in enumerate(entries)]
            target.store_scalar(packed_bytes(_read(table, entries)), at)


def _read(table: Memory, entries: Sequence[Index]) -> list[MlirValue]:
    return [byte_at(table, entry, signed=False) for entry in entries]


def as_index(value: MlirValue) -> Index:
    """An i32 that is not negative."""
    return Index(arith.index_cast(mlir.IndexType.get(), value))
