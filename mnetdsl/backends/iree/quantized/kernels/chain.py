"""Several layers of stored bytes as one kernel, so that what lies between them stays on the core that made it.

Where `kernels.chain` makes a row of each layer in turn, this makes a band of rows of a layer and then the next
layer's: bands of bytes fit a core's own cache, and tiles need more pixels than a row has. All bands of a layer have as
many rows, known while building, so that each stage is the layer's kernel for so many rows. Where a band would begin
above the map or end below it, it is moved inside; rows that two bands have in common are made twice, with the same
bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnetdsl.backends.iree.kernels.executables import Buffer, Grid, Kernel
from mnetdsl.backends.iree.kernels.language import Memory, Position, greatest, least
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.quantized.kernels.depthwise import ByteDepthwise
from mnetdsl.backends.iree.quantized.kernels.frames import ByteFrame

ALIGNED = 64
"""Bytes from which a band begins on a line of the cache."""


@dataclass(frozen=True)
class ByteStage:
    """A layer of a chain. kernel: for `rows` rows, in one workgroup; where it matters to a row where in the map it
    stands, for the whole map.

    window: of the whole layer. pitch: bytes of a row that the kernel reads; its first `by_rows` inputs are maps of such
    rows, of which the stage before made number `before`. row: bytes of a row that it makes. size: bytes of a whole map
    that it reads.
    """

    kernel: Kernel
    window: Window
    rows: int
    pitch: int
    row: int
    size: int
    by_rows: int
    before: int

    @property
    def room(self) -> int:
        """Bytes of a band that it makes."""
        return -(-self.rows * self.row // ALIGNED) * ALIGNED

    @property
    def buffers(self) -> list[Buffer]:
        """The kernel's inputs, maps whole."""
        kept = self.kernel.inputs[self.by_rows :]
        return [Buffer(self.size, "i8")] * self.by_rows + list(kept)

    def emit(self, top: Position, inputs: Sequence[Memory], target: Memory) -> None:
        """The rows from `top` on. Memory of maps begins with their row 0, whether it is there or not."""
        if isinstance(self.kernel, ByteDepthwise | ByteFrame):
            self.kernel.emit_rows(top, top + self.rows, *inputs, target)
            return
        first = top * (self.window.strides[0] * self.pitch)
        placed = [memory.from_(first) for memory in inputs[: self.by_rows]]
        self.kernel.emit((0, 0), *placed, *inputs[self.by_rows :], target.from_(top * self.row))


@dataclass(frozen=True)
class ByteChain:
    """inputs: those of the first stage's kernel, then of each other's all but what the stage before made; outputs: the
    last layer's map, made in `bands` workgroups, and room for the bands, whose content means nothing afterwards."""

    stages: tuple[ByteStage, ...]
    bands: int

    @property
    def name(self) -> str:
        first, last = self.stages[0].window, self.stages[-1]
        (height, width), (rows, columns) = first.size, last.window.outputs
        layers = sum(not isinstance(stage.kernel, ByteFrame) for stage in self.stages)
        what = f"chain_of_{layers}" if layers > 1 else "framed"  # one layer, and the frame around what it reads
        return f"bytes_{what}_{height}x{width}_to_{rows}x{columns}x{last.row // columns}"

    @property
    def grid(self) -> Grid:
        return self.bands, 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        found = list(self.stages[0].buffers)
        for stage in self.stages[1:]:
            found += [buffer for index, buffer in enumerate(stage.buffers) if index != stage.before]
        return tuple(found)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        last = self.stages[-1]
        return Buffer(last.window.outputs[0] * last.row, "i8"), Buffer(self.bands * self._room, "i8")

    @property
    def _room(self) -> int:
        # Direct convolutions may read some bytes behind the rows of their map.
        return sum(stage.room for stage in self.stages[:-1]) + ALIGNED

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        *given, target, room = memories
        tops = self.tops(group[0])
        start: Position = group[0] * self._room
        made: Memory | None = None
        for stage, top in zip(self.stages, tops, strict=True):
            count = len(stage.buffers) - (made is not None)
            inputs, given = given[:count], given[count:]
            if made is not None:
                inputs.insert(stage.before, made)
            last = stage is self.stages[-1]
            into = target if last else room.from_(start + top * -stage.row)
            stage.emit(top, inputs, into)
            made, start = into, start + stage.room

    def tops(self, band: Position) -> list[Position]:
        """The first row of each stage's band."""
        last = self.stages[-1]
        top = least(band * last.rows, last.window.outputs[0] - last.rows)
        tops = [top]
        for before, stage in zip(self.stages[-2::-1], self.stages[:0:-1], strict=True):
            window = stage.window
            first = greatest(top * window.strides[0] - window.padding[0], 0)
            top = least(first, window.size[0] - before.rows)
            tops.insert(0, top)
        return tops


def band_rows(windows: Sequence[Window], bands: int) -> list[int]:
    """Rows of each layer's bands, of layers one behind the other of which the last is made in `bands` bands."""
    rows = -(-windows[-1].outputs[0] // bands)
    found = [rows]
    for window in reversed(windows[1:]):
        rows = min((rows - 1) * window.strides[0] + window.kernel[0], window.size[0])
        found.insert(0, rows)
    return found
