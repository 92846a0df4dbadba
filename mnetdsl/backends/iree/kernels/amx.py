"""AMX: eight tiles of up to 16 rows and 64 bytes, as instructions on addresses. Tiles 0 to 3 are sums, 4 and 5 pixels,
6 and 7 weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, llvm, memref
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.bfloat import intrinsic
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, as_value

ROWS = 16
"""Of a tile."""
BYTES = 64
"""Of a tile's row."""
DEPTH = 32
"""Values of a tile's row of pixels; a tile of weights has pairs of two of them in its rows."""
LANES = 16
"""Sums of a tile's row."""
WIDTH = 2 * LANES
"""Channels of a block: two tiles."""

PERMISSION = (158, 0x1023, 18)
"""arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA) on Linux: without it the first tile instruction of a process ends it."""


@contextmanager
def configured(sums: str = "f32", rows: int = ROWS, depth: int = BYTES) -> Iterator[Memory]:
    """Tiles as this module uses them, while the body is built: of `rows` pixels, of which a step takes `depth` bytes.
    Gives memory for the `sums` of a block, as MLIR writes their type, row by row 32."""
    _ask_permission()
    settings = np.zeros(64, np.int8)
    settings[0], settings[16:32:2] = 1, BYTES
    settings[24:28:2] = depth  # of tiles 4 and 5
    settings[48:54], settings[54:56] = rows, depth // 4
    bytes = mlir.IntegerType.get_signless(8)
    type = mlir.VectorType.get([64], bytes)
    memory = _room(64, bytes)
    memory.store(arith.constant(type, mlir.DenseElementsAttr.get(settings, type=type)), 0)
    intrinsic("llvm.x86.ldtilecfg", [_pointer(memory, 0, 1)])
    yield _room(2 * rows * WIDTH, mlir.Type.parse(sums))
    intrinsic("llvm.x86.tilerelease", [])


def clear(height: int) -> None:
    """Zeros in the sums of a block of `height` tiles of rows times two tiles of channels."""
    for tile in range(2 * height):
        intrinsic("llvm.x86.tilezero", [_tile(tile)])


def begin(bias: Memory, channel: Position, height: int, width: int) -> None:
    """32-bit numbers from `channel` on in the sums of a block of `height` tiles of rows times `width` of channels."""
    for i in range(height):
        for j in range(width):
            at = _pointer(bias, channel + j * LANES, 4)
            intrinsic("llvm.x86.tileloadd64", [_tile(2 * i + j), at, _i64(0)])


def multiply(pixels: list[tuple[Memory, Position]], pitch: int, weights: list[tuple[Memory, Position]]) -> None:
    """Adds the products of one depth of tiles to the sums: `pixels` are one or two places in bfloat16 maps, whose rows
    are `pitch` values apart; `weights` two places where tiles of weights begin."""
    apart, line = _i64(2 * pitch), _i64(2 * DEPTH)
    for i, (memory, at) in enumerate(pixels):
        intrinsic("llvm.x86.tileloadd64", [_tile(4 + i), _pointer(memory, at, 2), apart])
    for j, (memory, at) in enumerate(weights):
        intrinsic("llvm.x86.tileloadd64", [_tile(6 + j), _pointer(memory, at, 2), line])
    _products("llvm.x86.tdpbf16ps", len(pixels), len(weights))


def multiply_bytes(pixels: list[tuple[Memory, Position]], pitch: int, weights: list[tuple[Memory, Position]]) -> None:
    """As `multiply`, of unsigned bytes and signed ones, four depths of which are one 32-bit number; `pitch` in bytes,
    and one or two tiles of weights."""
    apart, line = _i64(pitch), _i64(BYTES)
    for i, (memory, at) in enumerate(pixels):
        intrinsic("llvm.x86.tileloadd64", [_tile(4 + i), _pointer(memory, at, 1), apart])
    for j, (memory, at) in enumerate(weights):
        intrinsic("llvm.x86.tileloadd64", [_tile(6 + j), _pointer(memory, at, 1), line])
    _products("llvm.x86.tdpbusd", len(pixels), len(weights))


def hold(tile: Memory) -> None:
    """The same bytes, those of a tile, in all tiles of pixels and of weights."""
    for number in range(4, 8):
        intrinsic("llvm.x86.tileloadd64", [_tile(number), _pointer(tile, 0, 1), _i64(BYTES)])


def multiply_held(sums: str) -> None:
    """The products of what tiles hold, to the sums of a whole block: of bfloat16 where these are f32, else of bytes."""
    _products("llvm.x86.tdpbf16ps" if sums == "f32" else "llvm.x86.tdpbusd", 2, 2)


def _products(instruction: str, height: int, width: int) -> None:
    for i in range(height):
        for j in range(width):
            intrinsic(instruction, [_tile(2 * i + j), _tile(4 + i), _tile(6 + j)])


def store(height: int, sums: Memory, rows: int = ROWS, width: int = 2) -> None:
    """The sums of a block to memory."""
    apart = _i64(4 * WIDTH)
    for i in range(height):
        for j in range(width):
            at = _pointer(sums, i * rows * WIDTH + j * LANES, 4)
            intrinsic("llvm.x86.tilestored64", [_tile(2 * i + j), at, apart])


def tiles(matrix: NDArray[np.int16]) -> NDArray[np.int16]:
    """Weights [K, N], both multiples of 32, as [N / 16][K / 32][16][16][2], pairs of depths beside each other; flat."""
    depth, channels = matrix.shape
    pairs = matrix.reshape(depth // DEPTH, DEPTH // 2, 2, channels // LANES, LANES)
    return np.ascontiguousarray(pairs.transpose(3, 0, 1, 4, 2)).reshape(-1)


def _ask_permission() -> None:
    """Linux gives tiles only to processes that ask, once; whoever runs the module need not know. Asking again takes a
    tenth of a microsecond."""
    llvm.inline_asm(
        mlir.IntegerType.get_signless(64),
        [_i64(number) for number in PERMISSION],
        "syscall",
        "={rax},{rax},{rdi},{rsi},~{rcx},~{r11},~{memory}",
        has_side_effects=True,
    )


def _room(size: int, element: MlirValue) -> Memory:
    """Memory of this workgroup alone."""
    return Memory(memref.alloca(mlir.MemRefType.get([size], element), [], [], alignment=64))


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
