"""Bytes that change their place and nothing else: runs of them, copied in loops that are known while building."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, Position, least, loop
from mnetdsl.backends.iree.quantized.kernels.bytes import splat
from mnetdsl.backends.iree.quantized.kernels.frames import pieces

Loop = tuple[int, int, int]
"""Rounds, and bytes from one to the next in the input and in the output."""


@dataclass(frozen=True)
class Run:
    """`size` bytes that stand together, once for each round of `loops`, the first of which is the outermost.

    source: which input; start and target: where the first of them begins in it and in the output. `flip` brings
    signed bytes to unsigned ones, or back.
    """

    source: int
    start: int
    target: int
    loops: tuple[Loop, ...]
    size: int
    flip: bool = False

    def joined(self) -> Run:
        """The same bytes in the fewest loops: runs that follow each other on both sides are one."""
        loops: list[Loop] = []
        size = self.size
        for count, read, written in reversed(self.loops):
            if count == 1:
                continue
            if not loops and read == written == size:
                size *= count
            elif loops and loops[0][0] * loops[0][1] == read and loops[0][0] * loops[0][2] == written:
                loops[0] = (count * loops[0][0], *loops[0][1:])
            else:
                loops.insert(0, (count, read, written))
        return Run(self.source, self.start, self.target, tuple(loops), size, self.flip)


@dataclass(frozen=True)
class ByteRuns:
    """inputs of `sizes` bytes, output of `size`, where no run writes keeps any content."""

    title: str
    sizes: tuple[int, ...]
    size: int
    runs: tuple[Run, ...]
    workgroups: int = 4

    @property
    def name(self) -> str:
        return f"bytes_{self.title}_{self.size}"

    @property
    def grid(self) -> Grid:
        return share(max(run.loops[0][0] if run.loops else 1 for run in self.runs), self.workgroups), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return tuple(Buffer(size, "i8") for size in self.sizes)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, "i8"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        *sources, target = memories
        for run in self.runs:
            self._copy(run, group[0], sources[run.source], target)

    def _copy(self, run: Run, group: Position, source: Memory, target: Memory) -> None:
        (count, read, written), *inner = run.loops or ((1, 0, 0),)
        each = -(-count // self.grid[0])
        low = group * each
        with loop(low, least(low + each, count)) as place:
            _rounds(run, inner, run.start + place * read, run.target + place * written, source, target)


def _rounds(run: Run, loops: Sequence[Loop], at: Position, to: Position, source: Memory, target: Memory) -> None:
    if loops:
        (count, read, written), *inner = loops
        with loop(0, count) as place:
            _rounds(run, inner, at + place * read, to + place * written, source, target)
        return
    for start, end, size in pieces(run.size):
        with loop(start, end, size) as x:
            bytes = source.vector(at + x, size)
            if run.flip:
                bytes = arith.xori(bytes, splat(-128, bytes.type))
            target.store(bytes, to + x)
