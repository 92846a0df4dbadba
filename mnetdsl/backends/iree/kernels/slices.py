"""A pointwise convolution, the depthwise one behind it and maybe the projection behind that as one kernel, a slice of
the channels between them after the other.

A slice's channels never meet another slice's before the projection: a workgroup makes them for all pixels, and reads
them again from its own cache. As kernels of their own, the maps between them would change cores wherever another one
takes its channels. Of a projection, each thread adds up the products of its own slices; `Total` adds the threads'.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from iree.compiler.dialects import arith
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.blocking import parts, share
from mnetdsl.backends.iree.kernels.depthwise import Depthwise
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, Position, Rows, filled, least, loop, vector_type
from mnetdsl.backends.iree.kernels.packing import panels
from mnetdsl.backends.iree.kernels.pointwise import Pointwise


@dataclass(frozen=True)
class Slices:
    """inputs: the map, weights and bias of both layers, weights of `projection` where there is one (`by_slices`).
    outputs: the map of the last layer, of a projection [threads, M, N] the sums of each thread; room for a slice of
    the maps between the layers a workgroup, whose content means nothing afterwards. A slice is a panel of `pointwise`.
    """

    pointwise: Pointwise
    depthwise: Depthwise
    projection: Pointwise | None = None
    threads: int = 1

    @property
    def name(self) -> str:
        (height, width), (rows, columns) = self.depthwise.window.size, self.depthwise.window.outputs
        count, channels = (2, self.depthwise.channels) if self.projection is None else (3, self.projection.channels)
        return f"slices_of_{count}_{height}x{width}x{self.pointwise.depth}_to_{rows}x{columns}x{channels}"

    @property
    def grid(self) -> Grid:
        return share(self.pointwise.panels) if self.projection is None else self.threads, 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        projected = () if self.projection is None else self.projection.inputs[1:2]
        return (*self.pointwise.inputs, *self.depthwise.inputs[1:], *projected)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        room = Buffer(self.grid[0] * sum(self._rooms))
        if self.projection is None:
            return (*self.depthwise.outputs, room)
        return Buffer(self.threads * self.projection.outputs[0].size), room

    @property
    def _rooms(self) -> tuple[int, int]:
        """Elements of a slice of the map behind each layer but the last."""
        width = self.pointwise.block.vectors * self.pointwise.lanes
        behind = 0 if self.projection is None else self.projection.rows * width
        return self.pointwise.rows * width, behind

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, bias, taps, second_bias, *projecting, target, room = memories
        pointwise, depthwise, projection = self.pointwise, self.depthwise, self.projection
        lanes, vectors = pointwise.lanes, pointwise.channels // pointwise.lanes
        span = -(-pointwise.panels // self.grid[0]) * pointwise.block.vectors
        low = group[0] * span
        slice = room.from_(group[0] * sum(self._rooms))
        behind = slice.from_(self._rooms[0])
        if projection is not None:
            target = target.from_(group[0] * projection.outputs[0].size)
            with loop(0, projection.outputs[0].size, lanes) as at:
                target.store(filled(0.0, vector_type(lanes)), at)
        rows, columns = depthwise.window.outputs
        for width, left, right in parts(low, least(low + span, vectors), pointwise.block.vectors, vectors):
            channels = width * lanes
            panel = replace(pointwise, channels=channels, beside=pointwise.channels)
            with loop(left, right, width) as vector:
                channel = vector * lanes
                panel.emit_rows(
                    (0, panel.rows),
                    (0, width),
                    source,
                    weights.from_(channel * panel.depth),
                    bias.from_(channel),
                    slice,
                )
                pitch = depthwise.channels if projection is None else channels
                second = replace(depthwise, pitch=channels, made=pitch)
                origin = Rows(slice, depthwise.window.size[1] * channels)
                made = target.from_(channel) if projection is None else behind
                with loop(0, rows) as y:
                    into = made.from_(y * (columns * pitch))
                    second.emit_row(y, origin, taps.from_(channel), second_bias.from_(channel), into, (0, channels))
                if projection is not None:
                    part = replace(
                        projection, depth=channels, pitch=channels, activation="none", residual=False, onto=True
                    )
                    whole = projection.channels // lanes
                    factors = projecting[0].from_(channel * projection.channels)
                    part.emit_rows((0, part.rows), (0, whole), behind, factors, second_bias, target)

    def by_slices(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """The projection's weights [K, N] as its slices read them, flat."""
        assert self.projection is not None
        width = self.projection.block.vectors * self.projection.lanes
        height = self.pointwise.block.vectors * self.pointwise.lanes
        cuts = range(height, matrix.shape[0], height)
        return np.concatenate([panels(part, width) for part in np.split(matrix, cuts, axis=0)])


@dataclass(frozen=True)
class Total:
    """activation(sum over the threads + bias) + residual.

    inputs: [threads, pixels, C], bias [C], residual [pixels, C] where `residual`; output [pixels, C].
    """

    threads: int
    pixels: int
    channels: int
    lanes: int
    activation: str
    residual: bool

    @property
    def name(self) -> str:
        return f"total_{self.threads}x{self.pixels}x{self.channels}_{self.activation}{'_add' if self.residual else ''}"

    @property
    def grid(self) -> Grid:
        return share(self.pixels, 2), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        size = self.pixels * self.channels
        return Buffer(self.threads * size), Buffer(self.channels), *([Buffer(size)] if self.residual else [])

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.pixels * self.channels),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        sums, bias, *residual, target = memories
        height = -(-self.pixels // self.grid[0])
        low = group[0] * height
        with (
            loop(low, least(low + height, self.pixels)) as pixel,
            loop(0, self.channels, self.lanes) as channel,
        ):
            at = pixel * self.channels + channel
            total = bias.vector(channel, self.lanes)
            for thread in range(self.threads):
                total = arith.addf(total, sums.vector(thread * self.pixels * self.channels + at, self.lanes))
            total = activate(total, self.activation)
            if residual:
                total = arith.addf(total, residual[0].vector(at, self.lanes))
            target.store(total, at)
