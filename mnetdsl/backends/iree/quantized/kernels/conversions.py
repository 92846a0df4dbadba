"""Between real and stored numbers, a vector at a time (`numerics.conversions`)."""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler.dialects import arith, math

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, filled, least, loop, vector_type
from mnetdsl.backends.iree.quantized.kernels.bytes import splat, vector_of, widened
from mnetdsl.backends.iree.quantized.kernels.finish import clamped
from mnetdsl.backends.iree.quantized.quantize import FARTHEST


@dataclass(frozen=True)
class ByteDequantize:
    """(q - zero) * scale of unsigned bytes. input, output [size]; size is a multiple of the lanes."""

    size: int
    lanes: int
    zero: int
    scale: float
    workgroups: int = 4

    @property
    def name(self) -> str:
        return f"bytes_dequantize_{self.size}"

    @property
    def grid(self) -> Grid:
        return share(self.size // self.lanes, self.workgroups), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, "i8"),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        size = -(-(self.size // self.lanes) // self.grid[0]) * self.lanes
        floats = vector_type(self.lanes)
        with loop(group[0] * size, least(group[0] * size + size, self.size), self.lanes) as at:
            numbers = widened(source.vector(at, self.lanes))
            steps = arith.sitofp(floats, arith.subi(numbers, splat(self.zero, numbers.type)))
            target.store(arith.mulf(steps, filled(self.scale, floats)), at)


@dataclass(frozen=True)
class ByteQuantize:
    """x / scale to the nearest step, a half away from zero, plus `zero`, as an unsigned byte; NaN becomes `zero`.
    input, output [size]; size is a multiple of the lanes."""

    size: int
    lanes: int
    zero: int
    scale: float
    workgroups: int = 4

    @property
    def name(self) -> str:
        return f"bytes_quantize_{self.size}"

    @property
    def grid(self) -> Grid:
        return share(self.size // self.lanes, self.workgroups), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, "i8"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        size = -(-(self.size // self.lanes) // self.grid[0]) * self.lanes
        type = vector_of(self.lanes, 32)
        with loop(group[0] * size, least(group[0] * size + size, self.size), self.lanes) as at:
            steps = arith.fptosi(type, self._rounded(source.vector(at, self.lanes)))
            target.store(clamped(arith.addi(steps, splat(self.zero, type)), 0, 255), at)

    def _rounded(self, x: MlirValue) -> MlirValue:
        """Each step but the division is exact."""
        zero, far, near = (filled(value, x.type) for value in (0.0, FARTHEST, -FARTHEST))
        quotient = arith.divf(x, filled(self.scale, x.type))
        known = arith.select(arith.cmpf(arith.CmpFPredicate.ORD, quotient, quotient), quotient, zero)
        within = arith.minimumf(arith.maximumf(known, near), far)
        magnitude = math.absf(within)
        whole = math.floor(magnitude)
        up = arith.cmpf(arith.CmpFPredicate.OGE, arith.subf(magnitude, whole), filled(0.5, x.type))
        return math.copysign(arith.select(up, arith.addf(whole, filled(1.0, x.type)), whole), within)
