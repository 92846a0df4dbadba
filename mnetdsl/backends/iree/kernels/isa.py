"""Instruction sets that own kernels are blocked for, chosen by the features that IREE's compiler will use."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Isa:
    """What the blocking of kernels depends on.

    lanes: float32 values of a vector; channels of a map are padded to a multiple of it.
    registers: vector registers that the allocator has.
    requires: features, as LLVM names them, without which the row does not apply.
    cache: bytes of a core's own second cache, as processors with these instructions usually have.
    unrolled: blocks (rows, vectors) whose loop gains from two steps a round. Others lose: the compiler moves loads
    ahead until registers are short.
    dots: whether four products of bytes are added to each 32-bit lane by one instruction (VNNI).
    tables: whether bytes are looked up in registers (VBMI).
    """

    name: str
    lanes: int
    registers: int
    requires: frozenset[str]
    cache: int
    unrolled: frozenset[tuple[int, int]] = frozenset()
    dots: bool = False
    tables: bool = False

    def accumulators(self, rows: int, vectors: int) -> bool:
        """Whether a block of `rows` x `vectors` sums stays in registers, beside its weights and one broadcast.

        With three or more vectors of weights the compiler needs a few to spare: without, 9 x 3 measures a tenth
        slower than 14 x 2, though it loads less.
        """
        spare = 3 if vectors >= 3 else 0
        return rows * vectors + vectors + 1 + spare <= self.registers

    def unroll(self, rows: int, vectors: int) -> int:
        """Steps of a round of a block's loop."""
        return 2 if (rows, vectors) in self.unrolled else 1


ISAS: tuple[Isa, ...] = (
    Isa(
        "avx512",
        lanes=16,
        registers=32,
        requires=frozenset({"avx512f", "avx512vl", "avx512dq"}),
        cache=1536 * 1024,
        unrolled=frozenset({(6, 4)}),
    ),
    Isa("avx2", lanes=8, registers=16, requires=frozenset({"avx2", "fma"}), cache=512 * 1024),
    Isa("neon", lanes=4, registers=32, requires=frozenset({"neon"}), cache=512 * 1024),
)
"""Best first: the first whose features are all there serves a target. One without any gets linalg only."""


@dataclass(frozen=True)
class Bfloat:
    """What multiplies bfloat16, beside AVX-512: `tiles` of AMX, or products of pairs alone."""

    name: str
    requires: frozenset[str]
    tiles: bool


PAIRS = frozenset({"avx512bf16", "avx512f", "avx512vl", "avx512dq", "avx512bw"})
BFLOATS: tuple[Bfloat, ...] = (
    Bfloat("amx-bf16", PAIRS | {"amx-tile", "amx-bf16"}, tiles=True),
    Bfloat("avx512-bf16", PAIRS, tiles=False),
)
"""Best first, as `ISAS`."""


NEVER = frozenset({"no such feature"})
DOTS = {"avx512": frozenset({"avx512vnni", "avx512bw"})}
"""Features, beside the row's own, that `Isa.dots` takes."""
TABLES = {"avx512": frozenset({"avx512vbmi"})}
"""Those that `Isa.tables` takes."""


def choose_bfloat(features: frozenset[str]) -> Bfloat | None:
    """The row of `BFLOATS` for a target with these features."""
    return next((row for row in BFLOATS if row.requires <= features), None)


def choose_isa(features: frozenset[str]) -> Isa | None:
    """The row of `ISAS` for a target with these features, None where no kernel fits it."""
    isa = next((isa for isa in ISAS if isa.requires <= features), None)
    return (
        None
        if isa is None
        else replace(isa, dots=DOTS.get(isa.name, NEVER) <= features, tables=TABLES.get(isa.name, NEVER) <= features)
    )
