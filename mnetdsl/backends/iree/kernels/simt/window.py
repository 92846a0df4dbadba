"""Convolutions with a window on scalar invocations: an output each, taps outside the map left out by loop bounds."""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid, Simt
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, accumulate, greatest, least, minus
from mnetdsl.backends.iree.kernels.simt.language import elements, elements_grid, multiplied_and_added
from mnetdsl.backends.iree.kernels.window import Window


@dataclass(frozen=True)
class SimtWindow(Simt):
    """input [H, W, pitch], weights [KH, KW, depth, O], for depthwise (`depth` None) [KH, KW, O]; bias [O], residual,
    output [OH, OW, O]."""

    window: Window
    depth: int | None
    channels: int
    pitch: int
    activation: str = "none"
    residual: bool = False

    @property
    def name(self) -> str:
        (rows, columns), (height, width) = self.window.outputs, self.window.kernel
        kind = "depthwise" if self.depth is None else f"convolution_{self.depth}"
        suffix = "_add" if self.residual else ""
        shape = f"{rows}x{columns}x{self.channels}_{height}x{width}s{self.window.strides[0]}"
        return f"simt_{kind}_{shape}_{self.activation}{suffix}"

    @property
    def grid(self) -> Grid:
        return elements_grid(self._outputs)

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        (height, width), (rows, columns) = self.window.size, self.window.kernel
        sizes = (height * width * self.pitch, rows * columns * (self.depth or 1) * self.channels, self.channels)
        return (*map(Buffer, sizes), *(self.outputs if self.residual else ()))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self._outputs),)

    @property
    def _outputs(self) -> int:
        return self.window.outputs[0] * self.window.outputs[1] * self.channels

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        window, depth = self.window, self.depth
        with elements(group, self._outputs) as at:
            channel, pixel = at % self.channels, at // self.channels
            y, x = pixel // window.outputs[1], pixel % window.outputs[1]
            (top, rows), (left, columns) = (_taps(window, axis, place) for axis, place in ((0, y), (1, x)))
            up, before = y * window.strides[0] - window.padding[0], x * window.strides[1] - window.padding[2]

            def row(ky: Position, sums: list[MlirValue]) -> list[MlirValue]:
                def column(kx: Position, sums: list[MlirValue]) -> list[MlirValue]:
                    place = ((up + ky) * window.size[1] + (before + kx)) * self.pitch
                    tap = ky * window.kernel[1] + kx
                    if depth is None:
                        return [
                            _added(source.scalar(place + channel), weights.scalar(tap * self.channels + channel), sums)
                        ]

                    def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
                        weight = weights.scalar((tap * depth + k) * self.channels + channel)
                        return [_added(source.scalar(place + k), weight, sums)]

                    return accumulate(0, depth, sums, step)

                return accumulate(left, columns, sums, column)

            (sum,) = accumulate(top, rows, [bias.scalar(channel)], row)
            result = activate(sum, self.activation)
            if others:
                result = arith.addf(result, others[0].scalar(at))
            target.store_scalar(result, at)


def _added(left: MlirValue, right: MlirValue, sums: list[MlirValue]) -> MlirValue:
    return multiplied_and_added(left, right, sums[0])


def _taps(window: Window, axis: int, place: Position) -> tuple[Position, Position]:
    """The first tap of the window inside the map, and the one behind the last, for output `place` along `axis`."""
    first = place * window.strides[axis] - window.padding[2 * axis]
    return greatest(minus(0, first), 0), least(minus(window.size[axis], first), window.kernel[axis])
