"""Several layers as one kernel over bands of rows, so that what lies between them stays in the cache.

A workgroup makes a band of the last layer's rows from top to bottom. For each of them, every layer before makes the
rows that the next one needs and that are not there yet, into a ring of the rows still needed. Rows above a band are
computed again by its workgroup: the halo.
"""

from __future__ import annotations

from dataclasses import dataclass

from mnetdsl.backends.iree.kernels.convolution import Convolution
from mnetdsl.backends.iree.kernels.depthwise import Depthwise
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, Position, Rows, equal, greatest, least, loop
from mnetdsl.backends.iree.kernels.pointwise import Pointwise
from mnetdsl.backends.iree.kernels.window import Window

Layer = Convolution | Depthwise | Pointwise


@dataclass(frozen=True)
class Stage:
    """A layer of a chain; a `Pointwise` is one for the pixels of a single row."""

    layer: Layer
    window: Window

    @property
    def source_pitch(self) -> int:
        """Elements of a row that the layer reads."""
        layer = self.layer
        return self.window.size[1] * (layer.channels if isinstance(layer, Depthwise) else layer.pitch)

    @property
    def target_pitch(self) -> int:
        """Elements of a row that it makes."""
        return self.window.outputs[1] * self.layer.channels

    @property
    def parameters(self) -> tuple[Buffer, Buffer]:
        """Weights and bias."""
        return self.layer.inputs[1], self.layer.inputs[2]

    def emit_row(
        self, y: Position, source: Rows, weights: Memory, bias: Memory, target: Memory, residual: Memory | None
    ) -> None:
        layer = self.layer
        if isinstance(layer, Pointwise):
            vectors = layer.channels // layer.lanes
            layer.emit_rows((0, layer.rows), (0, vectors), source.row(y), weights, bias, target, residual)
        elif isinstance(layer, Convolution):
            layer.emit_row(y, source, weights, bias, target, residual)
        else:
            layer.emit_row(y, source, weights, bias, target)


@dataclass(frozen=True)
class Chain:
    """inputs: the first layer's map, weights and bias of each layer, the last one's residual where `residual`;
    outputs: the last layer's map, made in `bands` workgroups, and room for the rings, whose content means nothing
    afterwards."""

    stages: tuple[Stage, ...]
    bands: int
    residual: bool = False

    @property
    def name(self) -> str:
        first, last = self.stages[0].window, self.stages[-1].window
        (height, width), (rows, columns) = first.size, last.outputs
        shapes = f"{height}x{width}_to_{rows}x{columns}x{self.stages[-1].layer.channels}"
        return f"chain_of_{len(self.stages)}_{shapes}{'_add' if self.residual else ''}"

    @property
    def grid(self) -> Grid:
        return min(self.bands, self._rows), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        first = self.stages[0]
        parameters = [buffer for stage in self.stages for buffer in stage.parameters]
        return (
            Buffer(first.window.size[0] * first.source_pitch),
            *parameters,
            *([self.outputs[0]] if self.residual else []),
        )

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return Buffer(self._rows * self.stages[-1].target_pitch), Buffer(self.grid[0] * self._room)

    @property
    def _rows(self) -> int:
        return self.stages[-1].window.outputs[0]

    @property
    def _rings(self) -> tuple[int, ...]:
        """Rows between each layer and the next: those of the window, and at the top of a band those that the layers
        behind need before they have made their first row."""
        rings: list[int] = []
        live = 1
        for stage in reversed(self.stages[1:]):
            live = min((live - 1) * stage.window.strides[0] + stage.window.kernel[0], stage.window.size[0])
            rings.insert(0, live)
        return tuple(rings)

    @property
    def _room(self) -> int:
        """Elements of all rings of a workgroup."""
        return sum(ring * stage.target_pitch for ring, stage in zip(self._rings, self.stages, strict=False))

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, *parameters = memories[: 1 + 2 * len(self.stages)]
        target, room = memories[-2:]
        residual = memories[-3] if self.residual else None
        pitch = self.stages[-1].target_pitch
        height = -(-self._rows // self.grid[0])
        top = group[0] * height
        rows = [Rows(source, self.stages[0].source_pitch)]
        start: Position = group[0] * self._room
        for ring, stage in zip(self._rings, self.stages, strict=False):
            rows.append(Rows(room.from_(start), stage.target_pitch, ring))
            start = start + ring * stage.target_pitch
        firsts = self._first_rows(top)
        weights, biases = parameters[::2], parameters[1::2]
        last = len(self.stages) - 1
        with loop(top, least(top + height, self._rows)) as y:
            before, after = self._rows_until(y), self._rows_until(y + 1)
            for index, stage in enumerate(self.stages[:last]):
                low = equal(y, top, firsts[index], before[index])
                with loop(low, after[index]) as row:
                    into = rows[index + 1].row(row)
                    stage.emit_row(row, rows[index], weights[index], biases[index], into, None)
            into, added = target.from_(y * pitch), None if residual is None else residual.from_(y * pitch)
            self.stages[last].emit_row(y, rows[last], weights[last], biases[last], into, added)

    def _first_rows(self, top: Position) -> list[Position]:
        """The first row of each layer but the last that the row `top` of the last one needs."""
        firsts: list[Position] = []
        for stage in reversed(self.stages[1:]):
            top = greatest(top * stage.window.strides[0] - stage.window.padding[0], 0)
            firsts.insert(0, top)
        return firsts

    def _rows_until(self, end: Position) -> list[Position]:
        """How many rows of each layer but the last the rows before `end` of the last one need."""
        counts: list[Position] = []
        for stage in reversed(self.stages[1:]):
            reach = stage.window.kernel[0] - stage.window.padding[0] - stage.window.strides[0]
            end = least(end * stage.window.strides[0] + reach, stage.window.size[0])
            counts.insert(0, end)
        return counts
