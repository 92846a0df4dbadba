"""What the processor could do: multiply-adds on registers alone, the mark that networks are held to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, func, vector
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels import amx
from mnetdsl.backends.iree.kernels.bfloat import BITS, pair_product
from mnetdsl.backends.iree.kernels.executables import Buffer, Executables, Grid
from mnetdsl.backends.iree.kernels.isa import BYTE_ISAS, Bfloat, ByteIsa, Isa
from mnetdsl.backends.iree.kernels.language import (
    Memory,
    MlirValue,
    Position,
    accumulate,
    filled,
    loop,
    multiply_add,
    vector_type,
)
from mnetdsl.backends.iree.quantized.kernels.bytes import dot, splat, vector_of, weight_type

CHAINS = 12
"""Independent sums: enough for two multiply-adds a cycle that take five each, and few enough for 16 registers."""
WORKGROUPS = 64
FUNCTION = "main"
TILES_SHORTER = 8
"""Instructions on tiles take longer than those on vectors: as many times fewer rounds."""


@dataclass(frozen=True)
class Peak:
    """`rounds` times `CHAINS` instructions a workgroup, each with `depth` products for `lanes` sums, which are `sums`.
    input [lanes * depth] of `element`, output [WORKGROUPS * lanes]."""

    lanes: int
    rounds: int
    depth: int = 1
    sums: str = "f32"
    element: str = "f32"

    @property
    def name(self) -> str:
        return f"peak_{self.lanes}x{self.depth}_{self.element}_{self.rounds}"

    @property
    def macs(self) -> int:
        """Multiply-adds of one run."""
        return WORKGROUPS * self.rounds * CHAINS * self.lanes * self.depth

    @property
    def grid(self) -> Grid:
        return WORKGROUPS, 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.lanes * self.depth, self.element),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(WORKGROUPS * self.lanes, self.sums),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        factor = source.vector(0, self.lanes * self.depth)

        def step(_: Position, sums: list[MlirValue]) -> list[MlirValue]:
            return [self._multiplied(sum, factor) for sum in sums]

        total, *others = accumulate(0, self.rounds, [self._initial(chain) for chain in range(CHAINS)], step)
        for other in others:
            total = arith.addf(total, other) if self.sums == "f32" else arith.addi(total, other)
        target.store(total, group[0] * self.lanes)

    def _initial(self, chain: int) -> MlirValue:
        return filled(float(chain), vector_type(self.lanes))

    def _multiplied(self, sum: MlirValue, factor: MlirValue) -> MlirValue:
        return multiply_add(sum, factor, factor) if self.element == "f32" else pair_product(sum, factor, factor)


@dataclass(frozen=True)
class BytePeak(Peak):
    """Of bytes by `isa`, without tiles. Numbers are the sums' own bits: products of what stays the same would leave the
    loop."""

    isa: ByteIsa = BYTE_ISAS[0]

    @staticmethod
    def of(isa: ByteIsa, rounds: int) -> BytePeak:
        return BytePeak(isa.lanes, rounds, len(isa.order[0]), "i32", weight_type(isa), isa)

    def _initial(self, chain: int) -> MlirValue:
        return splat(chain + 1, vector_of(self.lanes, 32))

    def _multiplied(self, sum: MlirValue, factor: MlirValue) -> MlirValue:
        bits = 16 if self.isa.wide else 8
        return dot(self.isa, sum, vector.bitcast(vector_of(self.lanes * 32 // bits, bits), sum), factor)


@dataclass(frozen=True)
class TilePeak:
    """As `Peak`, of whole tiles: `sums` are f32, of bfloat16, or i32, of bytes. input [bytes of a tile], output
    [WORKGROUPS * sums of a row]."""

    sums: str
    rounds: int

    @property
    def name(self) -> str:
        return f"peak_tiles_{self.sums}_{self.rounds}"

    @property
    def macs(self) -> int:
        values = amx.DEPTH if self.sums == "f32" else amx.BYTES
        return WORKGROUPS * self.rounds * 2 * amx.ROWS * amx.WIDTH * values

    @property
    def grid(self) -> Grid:
        return WORKGROUPS, 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(amx.ROWS * amx.BYTES, "i8"),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(WORKGROUPS * amx.LANES, self.sums),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        with amx.configured(self.sums) as sums:
            amx.hold(source)
            amx.clear(2)
            with loop(0, self.rounds):
                amx.multiply_held(self.sums)
            amx.store(2, sums)
            target.store(sums.vector(0, amx.LANES), group[0] * amx.LANES)


AnyPeak = Peak | TilePeak


def peak_of(isa: Isa, bfloat: Bfloat | None, *, stored: bool, rounds: int) -> AnyPeak | None:
    """The kernel for networks in float32, in bfloat16 where `bfloat` says how, or `stored` as bytes; None where nothing
    multiplies these."""
    if stored:
        if isa.bytes is None:
            return None
        return TilePeak("i32", rounds // TILES_SHORTER) if isa.bytes.tiles else BytePeak.of(isa.bytes, rounds)
    if bfloat is None:
        return Peak(isa.lanes, rounds)
    return TilePeak("f32", rounds // TILES_SHORTER) if bfloat.tiles else Peak(isa.lanes, rounds, depth=2, element=BITS)


def operand(kernel: AnyPeak) -> NDArray[np.generic]:
    """What it multiplies: numbers that stay small, or bits that need not mean any."""
    (buffer,) = kernel.inputs
    if buffer.element == "f32":
        return np.full(buffer.size, 0.5, np.float32)
    return np.zeros(buffer.size, {"i8": np.int8, BITS: np.int16}[buffer.element])


def peak_text(kernel: AnyPeak) -> str:
    """The MLIR text of a function that runs `kernel` once."""
    with mlir.Context(), mlir.Location.name(kernel.name):
        built = mlir.Module.create()
        types = [buffer.type for buffer in kernel.inputs], [buffer.type for buffer in kernel.outputs]
        with mlir.InsertionPoint(built.body):
            function = func.FuncOp(FUNCTION, mlir.FunctionType.get(*types))
        block = function.add_entry_block()
        with mlir.InsertionPoint(block):
            func.ReturnOp(Executables(built.body).dispatch(kernel, list(block.arguments)))
        built.operation.verify()
        return str(built)
