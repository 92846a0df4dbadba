"""Convolutions with a window on scalar invocations: an output each, taps outside the map left out by loop bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.kernels.activation import activate
from mnetdsl.backends.iree.kernels.executables import Call, Given
from mnetdsl.backends.iree.kernels.language import (
    Index,
    Memory,
    MlirValue,
    Position,
    accumulate,
    as_value,
    greatest,
    least,
    minus,
)
from mnetdsl.backends.iree.kernels.simt.language import each, elements_grid, multiplied_and_added
from mnetdsl.backends.iree.kernels.simt.pointwise import FloatFilter
from mnetdsl.backends.iree.kernels.window import Window

AXES = (("height", "top", "kernel_height", "stride_y"), ("width", "left", "kernel_width", "stride_x"))
"""Numbers of a window along each axis: the map's size, its padding, the window's size and stride."""


@dataclass(frozen=True)
class _Window(FloatFilter):
    """input [H, W, pitch], bias [O], residual, output [OH, OW, O]."""

    NUMBERS: ClassVar[tuple[str, ...]] = (*("rows", "columns", "channels", "pitch", "depth"), *AXES[0], *AXES[1])

    def call(self, window: Window, pitch: int, depth: int, channels: int) -> Call:
        """`depth`: channels that a window reads, of `pitch` that are stored."""
        numbers = (
            (window.size[axis], window.padding[2 * axis], window.kernel[axis], window.strides[axis]) for axis in (0, 1)
        )
        rows, columns = window.outputs
        values = (rows, columns, channels, pitch, depth, *(number for axis in numbers for number in axis))
        size = rows * columns * channels
        return Call(elements_grid(size), dict(zip(self.NUMBERS, values, strict=True)), size)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, weights, bias, *others, target = memories
        channels = given["channels"]
        with each(group, given["rows"] * given["columns"] * channels) as at:
            channel, pixel = at % channels, at // channels
            y, x = pixel // given["columns"], pixel % given["columns"]
            (up, top, bottom), (before, left, right) = (
                _taps(given, axis, place) for axis, place in zip(AXES, (y, x), strict=True)
            )

            def row(ky: Position, sums: list[MlirValue]) -> list[MlirValue]:
                def column(kx: Position, sums: list[MlirValue]) -> list[MlirValue]:
                    place = ((up + ky) * given["width"] + (before + kx)) * given["pitch"]
                    tap = given["kernel_width"] * ky + kx
                    return self.tap(given, sums, source.from_(place), weights, tap, channel)

                return accumulate(left, right, sums, column)

            (sum,) = accumulate(top, bottom, [bias.scalar(channel)], row)
            result = activate(sum, self.activation)
            if others:
                result = arith.addf(result, others[0].scalar(at))
            target.store_scalar(result, at)

    def tap(
        self, given: Given, sums: list[MlirValue], pixel: Memory, weights: Memory, tap: Index, channel: Index
    ) -> list[MlirValue]:
        """`sums` and what tap number `tap`, over `pixel`, adds to output `channel`."""
        raise NotImplementedError


@dataclass(frozen=True)
class SimtConvolution(_Window):
    """weights [KH, KW, depth, O]."""

    KIND: ClassVar[str] = "simt_convolution"

    def tap(
        self, given: Given, sums: list[MlirValue], pixel: Memory, weights: Memory, tap: Index, channel: Index
    ) -> list[MlirValue]:
        def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
            weight = weights.scalar((tap * given["depth"] + k) * given["channels"] + channel)
            return [multiplied_and_added(pixel.scalar(k), weight, sums[0])]

        return accumulate(0, given["depth"], sums, step)


@dataclass(frozen=True)
class SimtDepthwise(_Window):
    """weights [KH, KW, O]."""

    KIND: ClassVar[str] = "simt_depthwise"

    def tap(
        self, given: Given, sums: list[MlirValue], pixel: Memory, weights: Memory, tap: Index, channel: Index
    ) -> list[MlirValue]:
        weight = weights.scalar(tap * given["channels"] + channel)
        return [multiplied_and_added(pixel.scalar(channel), weight, sums[0])]


def _taps(given: Given, axis: tuple[str, ...], place: Index) -> tuple[Index, Index, Index]:
    """Where the window of output `place` begins along `axis`, its first tap inside the map, and the one behind the
    last."""
    size, padding, kernel, stride = (given[name] for name in axis)
    first = place * stride - padding
    low, high = greatest(minus(0, first), 0), least(size - first, kernel)
    return first, Index(as_value(low)), Index(as_value(high))
