"""Global average pool and elementwise operations on scalar invocations."""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid, Simt
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, filled
from mnetdsl.backends.iree.kernels.simt.language import elements, elements_grid


@dataclass(frozen=True)
class SimtPool(Simt):
    """The mean over all pixels. input [pixels, C], output [C]."""

    pixels: int
    channels: int

    @property
    def name(self) -> str:
        return f"simt_global_pool_{self.pixels}x{self.channels}"

    @property
    def grid(self) -> Grid:
        return elements_grid(self.channels)

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.pixels * self.channels),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.channels),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        number = mlir.F32Type.get()
        with elements(group, self.channels) as channel:

            def step(pixel: Position, sums: list[MlirValue]) -> list[MlirValue]:
                return [arith.addf(sums[0], source.scalar(pixel * self.channels + channel))]

            (sum,) = accumulate(0, self.pixels, [filled(0.0, number)], step)
            target.store_scalar(arith.divf(sum, filled(float(self.pixels), number)), channel)


@dataclass(frozen=True)
class SimtElementwise(Simt):
    """activation(left op right), `right` being a map of the same shape or one value a channel; without `operation` the
    activation of left alone. left, output [pixels, C], right [pixels, C] or [C]."""

    operation: str | None
    pixels: int
    channels: int
    per_channel: bool = False
    activation: str = "none"

    @property
    def name(self) -> str:
        kind = "channel_" if self.per_channel else ""
        operation = self.operation or "map"
        return f"simt_{kind}{operation}_{self.pixels}x{self.channels}_{self.activation}"

    @property
    def grid(self) -> Grid:
        return elements_grid(self.pixels * self.channels)

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        size = self.pixels * self.channels
        right = (Buffer(self.channels if self.per_channel else size),) if self.operation else ()
        return (Buffer(size), *right)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.pixels * self.channels),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        left, *others, target = memories
        with elements(group, self.pixels * self.channels) as at:
            value = left.scalar(at)
            if self.operation is not None:
                combine = {"add": arith.addf, "mul": arith.mulf}[self.operation]
                value = combine(value, others[0].scalar(at % self.channels if self.per_channel else at))
            target.store_scalar(activate(value, self.activation), at)
