"""Between real and stored numbers, a vector at a time (`numerics.conversions`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from iree.compiler.dialects import arith, math

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, filled, least, loop, vector_type
from mnetdsl.backends.iree.quantized.kernels.bytes import splat, vector_of, widened
from mnetdsl.backends.iree.quantized.kernels.finish import clamped
from mnetdsl.backends.iree.quantized.quantize import FARTHEST


@dataclass(frozen=True)
class _Conversion:
    """input, output [size]; size is a multiple of the lanes. A kind says its name and both elements."""

    KIND: ClassVar[str]
    SOURCE: ClassVar[str]
    TARGET: ClassVar[str]
    size: int
    lanes: int
    zero: int
    scale: float
    workgroups: int = 4

    @property
    def name(self) -> str:
        return f"bytes_{self.KIND}_{self.size}"

    @property
    def grid(self) -> Grid:
        return share(self.size // self.lanes, self.workgroups), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, self.SOURCE),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, self.TARGET),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        size = -(-(self.size // self.lanes) // self.grid[0]) * self.lanes
        with loop(group[0] * size, least(group[0] * size + size, self.size), self.lanes) as at:
            target.store(self.converted(source.vector(at, self.lanes)), at)

    def converted(self, numbers: MlirValue) -> MlirValue:
        """A vector as the other kind of number."""
        raise NotImplementedError


class ByteDequantize(_Conversion):
    """(q - zero) * scale of unsigned bytes."""

    KIND, SOURCE, TARGET = "dequantize", "i8", "f32"

    def converted(self, numbers: MlirValue) -> MlirValue:
        floats, wide = vector_type(self.lanes), widened(numbers)
        steps = arith.sitofp(floats, arith.subi(wide, splat(self.zero, wide.type)))
        return arith.mulf(steps, filled(self.scale, floats))


class ByteQuantize(_Conversion):
    """x / scale to the nearest step, a half away from zero, plus `zero`, as an unsigned byte; NaN becomes `zero`."""

    KIND, SOURCE, TARGET = "quantize", "f32", "i8"

    def converted(self, numbers: MlirValue) -> MlirValue:
        type = vector_of(self.lanes, 32)
        steps = arith.fptosi(type, self._rounded(numbers))
        return clamped(arith.addi(steps, splat(self.zero, type)), 0, 255)

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
