"""Global average pool and elementwise operations on scalar invocations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith

from mnetdsl.backends.iree.integers import i32
from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.executables import Call, Given, Sized
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, as_value, filled
from mnetdsl.backends.iree.kernels.simt.language import each, elements_grid


@dataclass(frozen=True)
class SimtPool(Sized):
    """The mean over all pixels. input [pixels, C], output [C]."""

    KIND: ClassVar[str] = "simt_global_pool"
    INPUTS: ClassVar[tuple[str, ...]] = ("f32",)
    OUTPUT: ClassVar[str] = "f32"
    NUMBERS: ClassVar[tuple[str, ...]] = ("pixels", "channels")

    def call(self, pixels: int, channels: int) -> Call:
        return Call(elements_grid(channels), {"pixels": pixels, "channels": channels}, channels)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, target = memories
        real, channels, pixels = mlir.F32Type.get(), given["channels"], given["pixels"]
        with each(group, channels) as channel:

            def step(pixel: Position, sums: list[MlirValue]) -> list[MlirValue]:
                return [arith.addf(sums[0], source.scalar(channels * pixel + channel))]

            (sum,) = accumulate(0, pixels, [filled(0.0, real)], step)
            count = arith.sitofp(real, arith.index_cast(i32(), as_value(pixels)))
            target.store_scalar(arith.divf(sum, count), channel)


@dataclass(frozen=True)
class SimtElementwise(Sized):
    """activation(left op right), `right` being a map of the same shape or one value a channel; without `operation` the
    activation of left alone. left, output [pixels, C], right [pixels, C] or [C]."""

    KIND: ClassVar[str] = "simt"
    OUTPUT: ClassVar[str] = "f32"
    NUMBERS: ClassVar[tuple[str, ...]] = ("count", "channels")
    operation: str | None
    per_channel: bool = False
    activation: str = "none"

    @property
    def variants(self) -> tuple[str, ...]:
        return (self.operation or "map", *(["by_channel"] if self.per_channel else []), self.activation)

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("f32",) * (2 if self.operation else 1)

    def call(self, pixels: int, channels: int) -> Call:
        count = pixels * channels
        return Call(elements_grid(count), {"count": count, "channels": channels}, count)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        left, *others, target = memories
        with each(group, given["count"]) as at:
            value = left.scalar(at)
            if self.operation is not None:
                combine = {"add": arith.addf, "mul": arith.mulf}[self.operation]
                value = combine(value, others[0].scalar(at % given["channels"] if self.per_channel else at))
            target.store_scalar(activate(value, self.activation), at)
