"""The right factor of a product of two computed matrices, arranged as `Pointwise` reads weights.

    panels [panel][K][panel's columns] = scale * right [K, N] or, transposed, scale * right [N, K]

N is padded to whole vectors. Attention's right factors are far smaller than what they are multiplied with.
"""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.blocking import parts, share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, Position, filled, least, loop, minus, vector_type

LARGE = 16_384
"""Elements from which workgroups share them."""


@dataclass(frozen=True)
class PackRight:
    """depth K, columns N, channels N padded; `pitch` elements from row to row of the input, `vectors` a panel."""

    depth: int
    columns: int
    channels: int
    pitch: int
    lanes: int
    vectors: int
    transposed: bool
    scale: float

    @property
    def name(self) -> str:
        return f"pack_{'transposed_' if self.transposed else ''}{self.depth}x{self.columns}"

    @property
    def grid(self) -> Grid:
        """Workgroups along the depth."""
        return share(self.depth, 4) if self.depth * self.channels >= LARGE else 1, 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer((self.columns if self.transposed else self.depth) * self.pitch),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.depth * self.channels),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        depth = -(-self.depth // self.grid[0])
        low = group[0] * depth
        bounds = (low, least(low + depth, self.depth))
        total = self.channels // self.lanes
        for width, left, right in parts(0, total, self.vectors, total):
            with loop(left, right, width) as vector:
                panel = target.from_(vector * (self.lanes * self.depth))
                (self._transpose if self.transposed else self._copy)(source, panel, vector * self.lanes, width, bounds)

    def _copy(
        self, source: Memory, panel: Memory, column: Position, vectors: int, bounds: tuple[Position, Position]
    ) -> None:
        factor = filled(self.scale, vector_type(self.lanes))
        with loop(*bounds) as k:
            for at in range(0, vectors * self.lanes, self.lanes):
                value = source.vector(k * self.pitch + column + at, self.lanes)
                panel.store(arith.mulf(value, factor), k * (vectors * self.lanes) + at)

    def _transpose(
        self, source: Memory, panel: Memory, column: Position, vectors: int, bounds: tuple[Position, Position]
    ) -> None:
        span = vectors * self.lanes
        if self.columns < self.channels:  # the last vector, which other columns overwrite in part
            with loop(*bounds) as k:
                panel.store(filled(0.0, vector_type(self.lanes)), k * span + (span - self.lanes))
        factor = filled(self.scale, mlir.F32Type.get())
        count = least(span, minus(self.columns, column))
        with loop(0, count) as n:
            row = source.from_((n + column) * self.pitch)
            with loop(*bounds) as k:
                panel.store_scalar(arith.mulf(row.scalar(k), factor), k * span + n)
