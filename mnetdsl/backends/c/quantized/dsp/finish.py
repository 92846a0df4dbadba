"""How a layer's sums become stored numbers in DSP kernels: by steps with one shift for the layer, or exactly.

Kernels hold SCALE * sum + offset in a register. `steps` (see `steps.py`) takes three instructions an output with the
store; where some channel has no such slope, as linear layers do whose results round away from zero on both sides, the
exact form takes six: ((v * multiplier >> 32) + addend - (v < 0 ? 128 : 0)) >> shift, saturated. The 128 is one unit of
the first rounding's result: a half of a negative number goes down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.quantized.dsp.steps import (
    LOW,
    SCALE,
    SCALE_BITS,
    Channel,
    common_shift,
    find_slope,
)
from mnetdsl.backends.c.quantized.levels import biases_of, check_layer_sums, factors_of
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.interpreter.quantized.layer import Weighted
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.bounds import layer_bounds
from mnetdsl.numerics.clamps import activation_range

WORD = 1 << 31
_CONSTANT_SLOPE = 1 << 30
_REMEMBERED = 16 * 1024
"""Channels whose slopes are kept: those of a layer are asked for again for each of its rows."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layer:
    """The numbers of a layer with weights: taps [taps, O] as stored, biases [O], and what each channel does."""

    taps: Integers
    bias: Integers
    in_zero: int
    channels: tuple[Channel, ...]

    @property
    def constants(self) -> NDArray[np.bool_]:
        """[O]: whether a channel has one result for every input."""
        return np.array([channel.is_constant for channel in self.channels])


@dataclass(frozen=True, eq=False)
class Finish:
    """shift is that of the layer, None for the exact form. offsets [O] are added to SCALE * sum, sums of constant
    channels are 0. words [O, 1] or [O, 3] are what kernels load for each channel: slope, or multiplier, addend, shift.
    """

    shift: int | None
    offsets: Integers
    words: Integers

    @property
    def name(self) -> str:
        """Of kernels with this finish."""
        return "exact" if self.shift is None else f"s{self.shift}"


def saturates_only(op: Weighted) -> bool:
    """Whether a layer works on 8-bit signed numbers without other bounds than theirs, and its filter has no zero
    point: what the kernels ask for beside sizes."""
    elements = {op.input.type.element, op.type.element}
    if elements != {ElementType.I8} or op.filter_zero_point is not None:
        return False
    result = grid(op.type)
    return activation_range(result, op.activation) == (result.low, result.high)


def layer_numbers(op: Weighted, emitter: Emitter) -> Layer:
    """Raises MN0722 where a sum might not fit 32 bits."""
    check_layer_sums(op, emitter)
    outputs = op.type.shape[-1]
    source, result = grid(op.input.type), grid(op.type)
    taps = emitter.constant(op.filter)[1].reshape(-1, outputs).astype(np.int64)
    bias, (multipliers, shifts) = biases_of(op, emitter), factors_of(op, emitter)
    bounds = layer_bounds(taps, 0, source)
    channels = tuple(
        Channel(int(multiplier), int(shift), result.zero_point, int(low), int(high))
        for multiplier, shift, low, high in zip(multipliers, shifts, bounds.low + bias, bounds.high + bias, strict=True)
    )
    return Layer(taps, bias, source.zero_point, channels)


def find_finish(channels: tuple[Channel, ...], preferred: int) -> Finish | None:
    """The cheapest that is proven for every channel; None where none is.

    preferred: a shift to take rather than a larger one, so that layers share their kernels.
    """
    if any(channel.wraps for channel in channels):
        return None
    return find_steps(channels, preferred) or find_exact(channels)


def find_steps(channels: tuple[Channel, ...], preferred: int) -> Finish | None:
    largest = common_shift([channel for channel in channels if not channel.is_constant])
    if largest is None:
        return None
    for shift in dict.fromkeys((min(preferred, largest), largest)):
        words = _steps(channels, shift)
        if words is not None:
            offsets, slopes = np.array(words, np.int64).T
            return Finish(shift, offsets, slopes[:, None])
    return None


@lru_cache(maxsize=_REMEMBERED)
def steps_of(channel: Channel, shift: int) -> tuple[int, int] | None:
    """Offset and slope of a channel; None where no slope takes its steps."""
    if channel.is_constant:
        # The slope is 2^30: of 2 + shift bits behind the result, a half keeps clear of both neighbours.
        return (2 * channel.constant + 1) << (shift + 1), _CONSTANT_SLOPE
    slope = find_slope(channel, shift)
    return None if slope is None else (slope.offset, slope.slope)


def _steps(channels: tuple[Channel, ...], shift: int) -> list[tuple[int, int]] | None:
    words = []
    for channel in channels:
        found = steps_of(channel, shift)
        if found is None:
            return None
        words.append(found)
    return words


def find_exact(channels: tuple[Channel, ...]) -> Finish | None:
    words = []
    for channel in channels:
        if channel.is_constant:
            words.append((0, 0, channel.constant, 0))
            continue
        found = _exact(channel) or _from_zero(channel)
        if found is None:
            return None
        words.append(found)
    numbers = np.array(words, np.int64)
    return Finish(None, numbers[:, 0], numbers[:, 1:])


def _exact(channel: Channel) -> tuple[int, int, int, int] | None:
    """Offset, multiplier, addend, shift with which the formula is the reference's; None where a register overflows."""
    right = -channel.shift
    largest = max(-channel.low_sum, channel.high_sum + 1) * SCALE
    addend = SCALE // 4 + ((2 * channel.zero_point + 1) << max(right + SCALE_BITS - 2, 0))
    if right < 1 or max(largest, (largest * channel.multiplier >> 32) + abs(addend) + SCALE) >= WORD:
        return None
    return 0, channel.multiplier, addend, right + SCALE_BITS - 1


def _from_zero(channel: Channel) -> tuple[int, int, int, int] | None:
    """The same by a slope of the channel's own, where what is below 0 becomes the least number anyway."""
    if channel.zero_point != LOW:
        return None
    shift = common_shift([channel])
    slope = None if shift is None else find_slope(channel, shift, LOW)
    if shift is None or slope is None:
        return None
    return slope.offset, slope.slope, LOW << shift, shift
