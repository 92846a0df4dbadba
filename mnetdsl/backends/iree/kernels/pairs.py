"""Pointwise convolution and dense layers in bfloat16 by AVX512-BF16's product of pairs.

    output[m, n] = activation(sum over k of input[m, k] * weights[k, n] + bias[n]) + residual[m, n]

input, residual and output [M, channels] in bfloat16 with channels padded to 32; weights packed
[panel][K / 2][panel's channels][2]; bias [N] in float32. As `pointwise.Pointwise`, with two depths a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, vector
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.bfloat import BITS, NAME, pair_product
from mnetdsl.backends.iree.kernels.blocking import WORKGROUPS, Block, parts, share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, least, loop, spread

LANES = 16


@dataclass(frozen=True)
class PairPointwise:
    rows: int
    depth: int
    channels: int
    block: Block
    activation: str = "none"
    residual: bool = False
    target: str = NAME

    @property
    def name(self) -> str:
        suffix = "_add" if self.residual else ""
        return f"pairs_{self.rows}x{self.depth}x{self.channels}_{self.activation}{suffix}"

    @property
    def grid(self) -> Grid:
        """Workgroups along rows and panels."""
        columns = share(self._panels)
        return share(-(-self.rows // self.block.rows), max(1, WORKGROUPS // columns)), columns

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        map = Buffer(self.rows * self.depth, NAME)
        residual = (Buffer(self.rows * self.channels, NAME),) if self.residual else ()
        return (map, Buffer(self.depth * self.channels, BITS), Buffer(self.channels), *residual)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.channels, self.target),)

    @property
    def _panels(self) -> int:
        return -(-self.channels // (self.block.vectors * LANES))

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        tiles = -(-self.rows // self.block.rows)
        height = -(-tiles // self.grid[0]) * self.block.rows
        width = -(-self._panels // self.grid[1]) * self.block.vectors
        low, first = group[0] * height, group[1] * width
        total = self.channels // LANES
        heights = parts(low, least(low + height, self.rows), self.block.rows, self.rows)
        widths = parts(first, least(first + width, total), self.block.vectors, total)
        for vectors, left, right in widths:
            with loop(left, right, vectors) as across:
                for rows, start, end in heights:
                    with loop(start, end, rows) as row:
                        sums = self._block(row, rows, across, vectors, source, weights, bias)
                        for i, sum in enumerate(sums):
                            at = (row + i // vectors) * self.channels + (across + i % vectors) * LANES
                            result = activate(sum, self.activation)
                            if others:
                                result = arith.addf(result, others[0].vector(at, LANES))
                            target.store(result, at)

    def _block(
        self,
        row: Position,
        rows: int,
        across: Position,
        vectors: int,
        source: Memory,
        weights: Memory,
        bias: Memory,
    ) -> list[MlirValue]:
        channel = across * LANES
        pixels = source.bits().from_(row * self.depth)
        panel = weights.from_(channel * self.depth)
        words = mlir.VectorType.get([1], mlir.IntegerType.get_signless(32))
        pairs = mlir.VectorType.get([2 * LANES], mlir.Type.parse(BITS))

        def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            taps = [panel.vector(k * (vectors * LANES) + j * (2 * LANES), 2 * LANES) for j in range(vectors)]
            factors = []
            for r in range(rows):
                pair = vector.bitcast(words, pixels.vector(k + r * self.depth, 2))
                factors.append(vector.bitcast(pairs, spread(vector.extract(pair, [], [0]), LANES)))
            return [pair_product(sum, factors[i // vectors], taps[i % vectors]) for i, sum in enumerate(sums)]

        initial = [bias.vector(channel + j * LANES, LANES) for j in range(vectors)] * rows
        return accumulate(0, self.depth, initial, step, 2)


def paired(matrix: NDArray[np.int16], width: int) -> NDArray[np.int16]:
    """[K, N], K even, as `PairPointwise` reads it in panels of `width` channels; flat."""
    depth, channels = matrix.shape
    pairs = matrix.reshape(depth // 2, 2, channels).transpose(0, 2, 1)
    cuts = range(width, channels, width)
    return np.concatenate([np.ascontiguousarray(panel).reshape(-1) for panel in np.split(pairs, cuts, axis=1)])
