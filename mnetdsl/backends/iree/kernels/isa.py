"""Instruction sets that own kernels are blocked for, chosen by the features that IREE's compiler will use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Isa:
    """What the blocking of kernels depends on.

    lanes: float32 values of a vector; channels of a map are padded to a multiple of it.
    registers: vector registers that the allocator has.
    requires: features, as LLVM names them, without which the row does not apply.
    fused: a multiply-add is one instruction; without it, it would become a call of the C library.
    broadcast_free: one lane of a register can be a multiplier, so that a broadcast costs no load (NEON).
    """

    name: str
    lanes: int
    registers: int
    requires: frozenset[str]
    fused: bool = True

    def accumulators(self, rows: int, vectors: int) -> bool:
        """Whether a block of `rows` x `vectors` sums stays in registers, beside its weights and one broadcast."""
        return rows * vectors + vectors + 1 <= self.registers


ISAS: tuple[Isa, ...] = (
    Isa("avx512", lanes=16, registers=32, requires=frozenset({"avx512f", "avx512vl", "avx512dq", "avx512bw"})),
    Isa("avx2", lanes=8, registers=16, requires=frozenset({"avx2", "fma"})),
    Isa("neon", lanes=4, registers=32, requires=frozenset({"neon"})),
)
"""Best first: the first whose features are all there serves a target. One without any gets linalg only."""


def choose_isa(features: frozenset[str]) -> Isa | None:
    """The row of `ISAS` for a target with these features, None where no kernel fits it."""
    return next((isa for isa in ISAS if isa.requires <= features), None)
