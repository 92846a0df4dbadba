"""What the operations with a filter share: exact sums by floating-point products, and their way back to integers.

Sums of products of integers are exact in float32 as long as none, in any order, exceeds 2^24, and in float64 up to
2^53; products of matrices are fastest there. The bounds follow from the weights (`numerics.bounds`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.bands import aligned_empty, repeated
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.numerics.bounds import ACCUMULATOR, EXACT_SINGLE, WIDE_ACCUMULATOR, SumBounds, sum_bounds
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.requantization import ONE_BITS, Integers, multiply_wide, quantize_multipliers
from mnetdsl.numerics.scales import layer_factors

Weighted = Conv2d | DepthwiseConv2d | Dense

CHUNK = 16 * 1024
"""Elements that are made integers at a time: their 64-bit numbers stay in the cache."""


class Layer:
    """A layer's operands as floating-point integers, and how its sums become stored numbers."""

    def __init__(self, op: Weighted, frame: Frame) -> None:
        """Raises MN0722 where a sum may leave its accumulator."""
        self.op = op
        self.source, self.result = grid(op.input.type), grid(op.type)
        stored, zero_points = frame[op.filter], frame.optional(op.filter_zero_point)
        zero_point = 0 if zero_points is None else int(zero_points[0])
        self.bias = frame.optional(op.bias)
        outputs = op.type.shape[-1]
        taps = stored.reshape(-1, outputs).astype(np.float32)
        if zero_point:
            taps -= np.float32(zero_point)
        self.bounds = sum_bounds(taps, self.source.lowest, self.source.highest)
        check_sums(op, self.bounds, self.bias, WIDE_ACCUMULATOR if self.source.dtype == "int16" else ACCUMULATOR)
        self.dtype = np.dtype(np.float32 if self.bounds.largest <= EXACT_SINGLE else np.float64)
        self.filter: Array = taps.astype(self.dtype, copy=False).reshape(stored.shape)
        assert op.filter_scale is not None
        factors = layer_factors(self.source, frame[op.filter_scale], self.result, dense=isinstance(op, Dense))
        multipliers, shifts = quantize_multipliers(factors)
        self.multipliers = np.broadcast_to(multipliers, (outputs,))
        self.shifts = np.broadcast_to(shifts, (outputs,))

    def numbers(self, q: NDArray[Any]) -> Array:
        """`q` less its zero point, in the layer's dtype."""
        x: Array = q.astype(self.dtype)
        if self.source.zero_point:
            x -= self.dtype.type(self.source.zero_point)
        return x

    def maps(self, images: int, convolve: Callable[[Array, Callable[[int, int], None]], None]) -> Array:
        """The layer's result [images, H, W, O]. `convolve` writes sums of that shape, of the layer's dtype, and says
        which rows of all images, seen as one map, are complete."""
        _, height, width, channels = self.op.type.shape
        sums = aligned_empty(images, height, width, channels, dtype=self.dtype)
        result: Array = np.empty(sums.shape, self.result.dtype)
        shape = (images * height, width * channels)
        totals, rows, complete = sums.reshape(shape), result.reshape(shape), self.finish(width)
        convolve(sums, lambda start, stop: complete(totals[start:stop], rows[start:stop]))
        return result

    def finish(self, width: int) -> Finish:
        """For rows of `width` pixels."""
        bounds = activation_range(self.result, self.op.activation)
        bias = np.zeros(len(self.shifts), np.int64) if self.bias is None else self.bias.astype(np.int64)
        bias, multipliers, shifts = (repeated(values, width) for values in (bias, self.multipliers, self.shifts))
        kind = WideFinish if self.source.dtype == "int16" else Finish
        return kind(bias, multipliers, shifts, self.result.zero_point, bounds)


class Finish:
    """Sums of 8-bit layers to stored numbers: `multiply_by_quantized_multiplier` and clamp, in few passes.

    The rounding of the division and the zero point are added at once: (y + half + (zero_point << shift)) >> shift.
    """

    def __init__(
        self, bias: Integers, multipliers: Integers, shifts: Integers, zero_point: int, bounds: tuple[int, int]
    ) -> None:
        self.bias, self.multipliers, self.bounds = bias, multipliers, bounds
        self.left = np.maximum(shifts, 0) if (shifts > 0).any() else None
        self.right = np.maximum(-shifts, 0)
        half = (np.int64(1) << self.right) >> 1
        self.offset = half + (np.int64(zero_point) << self.right)
        # Halves of negative numbers go down. Where the clamp is at the zero point, no number below it is left.
        self.halves_down = None if bounds[0] >= zero_point else (half > 0).astype(np.int64)

    def __call__(self, sums: Array, out: Array) -> None:
        """sums [rows, width * O] to `out` of that shape."""
        step = max(1, CHUNK // sums.shape[1])
        for start in range(0, len(sums), step):
            self._rows(sums[start : start + step], out[start : start + step])

    def _rows(self, sums: Array, out: Array) -> None:
        total: Integers = sums.astype(np.int64)
        total += self.bias
        if self.left is not None:
            total = (total << self.left).astype(np.int32).astype(np.int64)
        total *= self.multipliers
        total += 1 << (ONE_BITS - 1)
        total >>= ONE_BITS
        if self.halves_down is not None:
            total -= (total < 0) & self.halves_down
        total += self.offset
        total >>= self.right
        np.clip(total, *self.bounds, out=out, casting="unsafe")


class WideFinish(Finish):
    """Sums of 16-bit layers to stored numbers."""

    def __init__(
        self, bias: Integers, multipliers: Integers, shifts: Integers, zero_point: int, bounds: tuple[int, int]
    ) -> None:
        self.bias, self.multipliers, self.shifts = bias, multipliers, shifts
        self.zero_point, self.bounds = zero_point, bounds

    def _rows(self, sums: Array, out: Array) -> None:
        total: Integers = sums.astype(np.int64)
        total += self.bias
        total = multiply_wide(total, self.multipliers, self.shifts)
        total += self.zero_point
        np.clip(total, *self.bounds, out=out, casting="unsafe")


def check_sums(op: Weighted, bounds: SumBounds, bias: Array | None, limit: int) -> None:
    """Raises MN0722 where a sum of `op` might not fit `limit`."""
    proven = bounds.proven(bias, limit)
    if proven.all():
        return
    channel = int(np.argmin(proven))
    offset = 0 if bias is None else int(bias[channel])
    raise MnetError(
        error(
            "MN0722",
            f"the sums of `{op.name}` may leave their accumulator: those of output channel {channel} lie between "
            f"{int(bounds.low[channel]) + offset} and {int(bounds.high[channel]) + offset}",
            location=str(op.location),
            help=f"quantize the layer anew with a larger weight scale in this channel; its bias is {offset}",
        )
    )
