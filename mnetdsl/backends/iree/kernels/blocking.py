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
SPARE = 3
"""Registers that the compiler needs for what it loads ahead."""

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


@cache
def choose_window_block(
    isa: Isa, columns: int, vectors: int, kernel: int, stride: int, unrolled: bool
) -> tuple[Block, int]:
    """The block for rows of `columns` outputs and `vectors` vectors of a convolution whose window is `kernel` columns
    wide, and how many of these columns a step takes together. `unrolled` is where no loop keeps the compiler from
    moving loads ahead.

    Long strips: each of them has edges where columns are missing. With 16 registers, the weights of several columns
    leave too few for sums.
    """
    if isa.registers < 32:
        return choose_block(isa, columns, vectors, 2), 1
    candidates = [
        (Block(size, width), together)
        for width in range(1, min(vectors, 3) + 1)
        for together in range(1, kernel + 1)
        for size in range(1, min(columns, isa.registers) + 1)
        if size * width + together * width + 1 + (SPARE if unrolled else 0) <= isa.registers
    ]

    def cost(candidate: tuple[Block, int]) -> float:
        block, together = candidate
        groups = _parts(kernel, together)
        return sum(
            count * downs * acrosses * _window_step(size, width, group, stride)
            for size, downs in _parts(columns, block.rows)
            for width, acrosses in _parts(vectors, block.vectors)
            for group, count in groups
        )

    return min(candidates, key=lambda candidate: (cost(candidate), -candidate[0].rows * candidate[0].vectors))


def _window_step(outputs: int, vectors: int, together: int, stride: int) -> float:
    """As `_step`: what `together` columns of a window cost a strip."""
    inputs = min(outputs * together, (outputs - 1) * stride + together)
    sums, loads = outputs * vectors * together, inputs + together * vectors
    return max(sums * ISSUE + loads * LOAD, loads * ISSUE, LATENCY * together) + STEP


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
