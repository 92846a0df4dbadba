"""How a product is cut: registers, panels of weights, workgroups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.language import Position, greatest, least

WORKGROUPS = 8
"""Of a layer. 2 to 32 measure alike, 64 worse: each costs a dispatch its share, and uneven ones leave workers idle."""

ISSUE = 0.5
"""Cycles of a fused multiply-add, and of a load, where two of each start in a cycle."""
LOAD = 0.06
"""Cycles that a load costs where multiply-adds set the pace: both take turns at what they share."""
STEP = 0.3
"""Cycles of counting and jumping a step."""
LATENCY = 4.0
"""Cycles from a multiply-add to the next one on the same sum."""


FEW_ROWS = 64
"""Up to so many rows, a layer's weights are not used often enough to stay near."""

WIDEST = 4
"""Vectors of a panel: wider ones bring little, and more weights that nobody has asked for before they are needed."""


@dataclass(frozen=True)
class Block:
    """`rows` x `vectors` sums held in registers; a panel of weights has `vectors` vectors. A round of the loop along
    the depth takes `unroll` steps."""

    rows: int
    vectors: int
    unroll: int = 1


@cache
def choose_block(isa: Isa, rows: int, vectors: int, widest: int = WIDEST) -> Block:
    """The block, of up to `widest` vectors, with which `rows` x `vectors` vectors of outputs take the fewest cycles.

    A step along the depth costs a block its multiply-adds or its loads (a broadcast a row, a vector of weights a
    column), whichever take longer; short chains of sums wait for their latency.
    """
    candidates = [
        Block(height, width, isa.unroll(height, width))
        for width in range(1, min(vectors, widest) + 1)
        for height in range(1, min(rows, isa.registers) + 1)
        if isa.accumulators(height, width)
    ]
    return min(candidates, key=lambda block: (_cost(block, rows, vectors), -block.rows * block.vectors))


def _cost(block: Block, rows: int, vectors: int) -> float:
    total = 0.0
    for height, downs in _parts(rows, block.rows):
        for width, acrosses in _parts(vectors, block.vectors):
            total += downs * acrosses * _step(height, width, block.unroll)
    return total


def _parts(total: int, part: int) -> list[tuple[int, int]]:
    """(size, count) of the whole parts and of the rest."""
    return [(size, count) for size, count in ((part, total // part), (total % part, 1)) if size and count]


def _step(rows: int, vectors: int, unroll: int) -> float:
    sums, loads = rows * vectors, rows + vectors
    return max(sums * ISSUE + loads * LOAD, loads * ISSUE, LATENCY) + STEP / unroll


def share(tiles: int, wanted: int = WORKGROUPS) -> int:
    """How many workgroups take `tiles` tiles, so that the fullest has little more than the average."""
    counts = range(min(tiles, wanted), min(tiles, 2 * wanted) + 1)
    return min(counts, key=lambda count: (-(-tiles // count) * count / tiles, count), default=1)


def parts(low: Position, high: Position, size: int, total: int) -> list[tuple[int, Position, Position]]:
    """How [`low`, `high`) of [0, `total`) falls into steps: (step, start, end) of whole ones and of the rest.

    `low` is a multiple of `size`; of the rest there is one step or none, and only where `high` is `total`.
    """
    whole = total // size * size
    if whole == total:
        return [(size, low, high)]
    return [(size, low, least(high, whole)), (total - whole, greatest(low, whole), high)]
