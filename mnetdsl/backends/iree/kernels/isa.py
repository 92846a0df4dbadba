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
    bytes: what multiplies bytes, None where nothing does.
    """

    name: str
    lanes: int
    registers: int
    requires: frozenset[str]
    cache: int
    unrolled: frozenset[tuple[int, int]] = frozenset()
    bytes: ByteIsa | None = None

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


@dataclass(frozen=True)
class ByteIsa(Isa):
    """Blocking of kernels on bytes, whose `lanes` are 32-bit sums; a vector of sums takes `split` registers.

    order: of four neighbouring depths, a quad, those whose products an instruction adds to each lane, one instruction
    after the other. With one instruction a quad, operands are bytes, else 16-bit numbers.
    signed: activations are multiplied as signed bytes, 128 lower than they are stored.
    round: quads of a row that are loaded together.
    tables: how a byte is looked up among 256: by `shuffles` of 16, permutations of 128 (`vbmi`), `fours` of vectors.
    beside: registers beside the sums: a row of a block, a vector, and whatever the block.
    tiles: whether tiles of bytes are multiplied (AMX).
    """

    order: tuple[tuple[int, ...], ...] = ((0, 1, 2, 3),)
    signed: bool = False
    round: int = 1
    split: int = 1
    beside: tuple[int, int, int] = (0, 1, 1)
    tables: str = "shuffles"
    tiles: bool = False

    @property
    def wide(self) -> bool:
        return len(self.order) > 1

    def accumulators(self, rows: int, vectors: int) -> bool:
        """As `Isa.accumulators`."""
        a_row, a_vector, always = self.beside
        spare = 3 if vectors >= 3 and self.split == 1 else 0
        return rows * vectors * self.split + rows * a_row + vectors * a_vector + always + spare <= self.registers


_AVX512 = frozenset({"avx512f", "avx512vl", "avx512dq", "avx512bw"})
_AVX2 = frozenset({"avx2", "fma"})
PAIRS_OF_BYTES = ((0, 2), (1, 3))
"""The lower and the upper byte of each half of a word."""
BYTE_ISAS: tuple[ByteIsa, ...] = (
    ByteIsa(
        "avx512-vnni",
        lanes=16,
        registers=32,
        requires=_AVX512 | {"avx512vnni"},
        cache=1536 * 1024,
        unrolled=frozenset({(6, 4)}),
    ),
    ByteIsa(
        "avx512",
        lanes=16,
        registers=32,
        requires=_AVX512,
        cache=1024 * 1024,
        order=PAIRS_OF_BYTES,
        beside=(0, 2, 3),
    ),
    ByteIsa("avx-vnni", lanes=8, registers=16, requires=_AVX2 | {"avxvnni"}, cache=512 * 1024),
    ByteIsa(
        "avx2",
        lanes=8,
        registers=16,
        requires=_AVX2,
        cache=512 * 1024,
        order=PAIRS_OF_BYTES,
        beside=(0, 2, 3),
    ),
    ByteIsa(
        "neon-dotprod",
        lanes=8,
        registers=32,
        requires=frozenset({"neon", "dotprod"}),
        cache=512 * 1024,
        signed=True,
        round=4,
        split=2,
        beside=(1, 0, 6),
    ),
    ByteIsa(
        "neon",
        lanes=8,
        registers=32,
        requires=frozenset({"neon"}),
        cache=512 * 1024,
        order=((0,), (1,), (2,), (3,)),
        round=2,
        split=2,
        beside=(1, 2, 6),
    ),
)
"""Best first, as `ISAS`."""

TABLES = (
    ("vbmi", frozenset({"avx512vbmi"})),
    ("fours", frozenset({"neon"})),
    ("shuffles", frozenset[str]()),
)
"""`ByteIsa.tables`, best first, and the features that each takes."""
BYTE_TILES = _AVX512 | {"avx512vnni", "amx-tile", "amx-int8"}
"""Those that `ByteIsa.tiles` takes."""


def choose_bytes(features: frozenset[str]) -> ByteIsa | None:
    """The row of `BYTE_ISAS` for a target with these features."""
    row = next((row for row in BYTE_ISAS if row.requires <= features), None)
    tables = next(name for name, requires in TABLES if requires <= features)
    return None if row is None else replace(row, tables=tables, tiles=features >= BYTE_TILES)


def choose_bfloat(features: frozenset[str]) -> Bfloat | None:
    """The row of `BFLOATS` for a target with these features."""
    return next((row for row in BFLOATS if row.requires <= features), None)


def choose_isa(features: frozenset[str]) -> Isa | None:
    """The row of `ISAS` for a target with these features, None where no kernel fits it."""
    isa = next((isa for isa in ISAS if isa.requires <= features), None)
    return None if isa is None else replace(isa, bytes=choose_bytes(features))
