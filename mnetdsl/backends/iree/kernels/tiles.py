"""Pointwise convolution in bfloat16 on AMX: tiles of 16 x 32 pixels and weights into tiles of 16 x 16 sums.

    output[m, n] = activation(sum over k of input[m, k] * weights[k, n] + bias[n]) + residual[m, n]

input, residual and output [M, channels] in bfloat16 with channels padded to 32; weights packed
[N / 16][K / 32][16][16][2], pairs of depths beside each other; bias [N] in float32. A block of 32 rows times 32
channels accumulates in four tiles along K. The last block begins so that it ends with the rows: it computes some of
them again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, llvm, memref
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.bfloat import BITS, NAME, intrinsic
from mnetdsl.backends.iree.kernels.blocking import WORKGROUPS, share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, as_value, least, loop

ROWS = 16
"""Of a tile."""
DEPTH = 32
"""Values of a tile's row of pixels, and pairs of two of a tile of weights."""
LANES = 16
"""Sums of a tile's row."""
MANY_ROWS = 784
"""From here on a block of pixels stays near while all weights pass; below, the other way round."""

PERMISSION = (158, 0x1023, 18)
"""arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA) on Linux: without it the first tile instruction of a process ends it."""


@dataclass(frozen=True)
class TilePointwise:
    rows: int
    depth: int
    channels: int
    activation: str = "none"
    residual: bool = False
    target: str = NAME

    @property
    def name(self) -> str:
        suffix = "_add" if self.residual else ""
        return f"tiles_{self.rows}x{self.depth}x{self.channels}_{self.activation}{suffix}"

    @property
    def grid(self) -> Grid:
        """Workgroups along blocks of rows and of channels."""
        if self.rows >= MANY_ROWS:
            return share(self._downs), 1
        columns = share(self._acrosses)
        return share(self._downs, max(1, WORKGROUPS // columns)), columns

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        map = Buffer(self.rows * self.depth, NAME)
        residual = (Buffer(self.rows * self.channels, NAME),) if self.residual else ()
        return (map, Buffer(self.depth * self.channels, BITS), Buffer(self.channels), *residual)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.channels, self.target),)

    @property
    def _height(self) -> int:
        """Tiles of a block along rows."""
        return 2 if self.rows >= 2 * ROWS else 1

    @property
    def _downs(self) -> int:
        return -(-self.rows // (self._height * ROWS))

    @property
    def _acrosses(self) -> int:
        return self.channels // (2 * LANES)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        _ask_permission()
        _configure()
        sums = Memory(memref.alloca(mlir.MemRefType.get([4 * ROWS * LANES], mlir.F32Type.get()), [], [], alignment=64))
        downs, acrosses = -(-self._downs // self.grid[0]), -(-self._acrosses // self.grid[1])
        down = (group[0] * downs, least(group[0] * downs + downs, self._downs))
        across = (group[1] * acrosses, least(group[1] * acrosses + acrosses, self._acrosses))
        outer, inner = (down, across) if self.rows >= MANY_ROWS else (across, down)
        with loop(*outer) as first, loop(*inner) as second:
            y, x = (first, second) if self.rows >= MANY_ROWS else (second, first)
            row = least(y * (self._height * ROWS), self.rows - self._height * ROWS)
            self._multiply(row, x * (2 * LANES), source, weights, sums)
            self._finish(row, x * (2 * LANES), sums, bias, target, others[0] if others else None)
        intrinsic("llvm.x86.tilerelease", [])

    def _multiply(self, row: Position, channel: Position, source: Memory, weights: Memory, sums: Memory) -> None:
        """Sums of a block, row by row 32 of them."""
        height = self._height
        pitch, line = _i64(2 * self.depth), _i64(4 * DEPTH // 2)
        pixels = [source.from_((row + i * ROWS) * self.depth) for i in range(height)]
        panels = [weights.from_((channel + j * LANES) * self.depth) for j in range(2)]
        for tile in range(2 * height):
            intrinsic("llvm.x86.tilezero", [_tile(tile)])
        with loop(0, self.depth, DEPTH) as k:
            for i in range(height):
                intrinsic("llvm.x86.tileloadd64", [_tile(4 + i), _pointer(pixels[i], k, 2), pitch])
            for j in range(2):
                intrinsic("llvm.x86.tileloadd64", [_tile(6 + j), _pointer(panels[j], k * LANES, 2), line])
            for i in range(height):
                for j in range(2):
                    intrinsic("llvm.x86.tdpbf16ps", [_tile(2 * i + j), _tile(4 + i), _tile(6 + j)])
        width = _i64(4 * 2 * LANES)
        for i in range(height):
            for j in range(2):
                at = _pointer(sums, i * ROWS * 2 * LANES + j * LANES, 4)
                intrinsic("llvm.x86.tilestored64", [_tile(2 * i + j), at, width])

    def _finish(
        self, row: Position, channel: Position, sums: Memory, bias: Memory, target: Memory, residual: Memory | None
    ) -> None:
        offsets = [bias.vector(channel + j * LANES, LANES) for j in range(2)]
        with loop(0, self._height * ROWS) as r:
            for j, offset in enumerate(offsets):
                at = (row + r) * self.channels + channel + j * LANES
                result = activate(arith.addf(sums.vector(r * (2 * LANES) + j * LANES, LANES), offset), self.activation)
                if residual is not None:
                    result = arith.addf(result, residual.vector(at, LANES))
                target.store(result, at)


def tiles(matrix: NDArray[np.int16]) -> NDArray[np.int16]:
    """[K, N], both multiples of 32, as `TilePointwise` reads them; flat."""
    depth, channels = matrix.shape
    pairs = matrix.reshape(depth // DEPTH, DEPTH // 2, 2, channels // LANES, LANES)
    return np.ascontiguousarray(pairs.transpose(3, 0, 1, 4, 2)).reshape(-1)


def _ask_permission() -> None:
    """Linux gives tiles only to processes that ask, once; whoever runs the module need not know. Asking again takes a
    tenth of a microsecond."""
    operands = [_i64(number) for number in PERMISSION]
    llvm.inline_asm(
        mlir.IntegerType.get_signless(64),
        operands,
        "syscall",
        "={rax},{rax},{rdi},{rsi},~{rcx},~{r11},~{memory}",
        has_side_effects=True,
    )


def _configure() -> None:
    """All eight tiles with 16 rows of 64 bytes."""
    settings = np.zeros(64, np.int8)
    settings[0], settings[16:32:2], settings[48:56] = 1, 64, ROWS
    bytes = mlir.IntegerType.get_signless(8)
    type = mlir.VectorType.get([64], bytes)
    memory = Memory(memref.alloca(mlir.MemRefType.get([64], bytes), [], [], alignment=64))
    memory.store(arith.constant(type, mlir.DenseElementsAttr.get(settings, type=type)), 0)
    intrinsic("llvm.x86.ldtilecfg", [_pointer(memory, 0, 1)])


def _tile(number: int) -> MlirValue:
    return arith.constant(mlir.IntegerType.get_signless(8), number)


def _i64(value: int) -> MlirValue:
    return arith.constant(mlir.IntegerType.get_signless(64), value)


def _pointer(memory: Memory, at: Position, size: int) -> MlirValue:
    """The address of an element of `size` bytes."""
    start = memref.extract_aligned_pointer_as_index(memory.reference)
    address = arith.addi(start, as_value((memory.start + at) * size))
    number = arith.index_cast(mlir.IntegerType.get_signless(64), address)
    return llvm.IntToPtrOp(mlir.Type.parse("!llvm.ptr"), number).result
