"""A pointwise convolution and the depthwise one behind it as one kernel, a slice of the channels after the other.

A slice's channels never meet another slice's: a workgroup makes them for all pixels, and reads them again from its own
cache. As two kernels, the map between them would change cores wherever another one takes its channels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mnetdsl.backends.iree.kernels.blocking import parts, share
from mnetdsl.backends.iree.kernels.depthwise import Depthwise
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, Position, Rows, least, loop
from mnetdsl.backends.iree.kernels.pointwise import Pointwise


@dataclass(frozen=True)
class Slices:
    """inputs: the map, weights and bias of each layer; outputs: the depthwise layer's map, and room for a slice of the
    map between them a workgroup, whose content means nothing afterwards. A slice is a panel of `pointwise`."""

    pointwise: Pointwise
    depthwise: Depthwise

    @property
    def name(self) -> str:
        (height, width), (rows, columns) = self.depthwise.window.size, self.depthwise.window.outputs
        first, last = f"{height}x{width}x{self.pointwise.depth}", f"{rows}x{columns}x{self.depthwise.channels}"
        return f"slices_of_2_{first}_to_{last}"

    @property
    def grid(self) -> Grid:
        return share(self.pointwise.panels), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (*self.pointwise.inputs, *self.depthwise.inputs[1:])

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (*self.depthwise.outputs, Buffer(self.grid[0] * self._room))

    @property
    def _room(self) -> int:
        """Elements of a slice of the map between the layers."""
        return self.pointwise.rows * self.pointwise.block.vectors * self.pointwise.lanes

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, bias, taps, second_bias, target, room = memories
        pointwise, depthwise = self.pointwise, self.depthwise
        lanes, vectors = pointwise.lanes, pointwise.channels // pointwise.lanes
        span = -(-pointwise.panels // self.grid[0]) * pointwise.block.vectors
        low = group[0] * span
        slice = room.from_(group[0] * self._room)
        rows, columns = depthwise.window.outputs
        for width, left, right in parts(low, least(low + span, vectors), pointwise.block.vectors, vectors):
            channels = width * lanes
            panel = replace(pointwise, channels=channels, beside=pointwise.channels)
            second = replace(depthwise, pitch=channels)
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
                origin = Rows(slice, depthwise.window.size[1] * channels)
                with loop(0, rows) as y:
                    into = target.from_(y * (columns * depthwise.channels) + channel)
                    second.emit_row(y, origin, taps.from_(channel), second_bias.from_(channel), into, (0, channels))
