"""What kernels for Helium load for each output channel: bias, multiplier, and shifts packed in one register."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.quantized.dsp.finish import find_steps, layer_numbers
from mnetdsl.backends.c.quantized.dsp.steps import SCALE
from mnetdsl.backends.c.quantized.levels import biases_of, check_layer_sums, factors_of
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.interpreter.quantized.layer import Weighted
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.requantization import Integers

LEFT_BITS = 8
HALVES_BITS = 16
_PREFERRED_SHIFT = 10
"""Slopes with this shift take the steps of most layers, so that these share their kernels."""
_LARGEST_SHIFT = 15
"""The instruction that narrows shifts by one more."""
_WORD_BITS = 32


@dataclass(frozen=True, eq=False)
class Finish:
    """bias, multiplier and packed shifts are [O]; the bias holds what the input's zero point adds. `kind` names the
    kernels that do no more than the layer needs. Of the kind "steps" a sum becomes
    (SCALE * sum + bias) * multiplier >> (32 + shift), saturated.

    Packed are, a byte each, the shift to the right as a negative number, the shift to the left, and 1 where a half of a
    negative number goes down: behind any shift to the right.
    """

    bias: Integers
    multiplier: Integers
    shifts: Integers
    kind: str
    zero: int
    low: int
    high: int
    shift: int = 0

    @property
    def name(self) -> str:
        """Of kernels."""
        return f"{self.kind}{self.shift or ''}"

    @property
    def right_shifts(self) -> Integers:
        """[O], negative."""
        low = self.shifts & 255
        return np.where(low > 127, low - 256, low)


def stored_in_bytes(op: Weighted) -> bool:
    """Whether a layer works on 8-bit signed numbers, and its filter has no zero point."""
    return {op.input.type.element, op.type.element} == {ElementType.I8} and op.filter_zero_point is None


def taps_of(op: Weighted, emitter: Emitter) -> NDArray[np.int8]:
    """The filter [taps, O]."""
    return emitter.constant(op.filter)[1].reshape(-1, op.type.shape[-1]).astype(np.int8)


def finish_of(op: Weighted, emitter: Emitter) -> Finish:
    """For kernels that read the zero point where a window leaves the map, as if the map went on.

    Raises MN0722 where a sum might not fit 32 bits.
    """
    check_layer_sums(op, emitter)
    source, result = grid(op.input.type), grid(op.type)
    taps = taps_of(op, emitter).astype(np.int64)
    multipliers, shifts = factors_of(op, emitter)
    low, high = activation_range(result, op.activation)
    right, left = np.minimum(shifts, 0) & 255, np.maximum(shifts, 0)
    packed = right | left << LEFT_BITS | (shifts < 0).astype(np.int64) << HALVES_BITS
    return Finish(
        biases_of(op, emitter) - source.zero_point * taps.sum(axis=0),
        multipliers,
        packed,
        _kind(shifts, (low, high), result.zero_point),
        result.zero_point,
        low,
        high,
    )


def taps_and_finish(op: Weighted, emitter: Emitter) -> tuple[NDArray[np.int8], Finish]:
    """As `taps_of` and `finish_of`; by steps where that is proven for every channel (see `dsp.steps`), which then take
    a shift of the whole layer and hold their zero point. Channels with one result for every input have no taps.

    Linear layers have no such proof: their results round away from zero on both sides.
    """
    taps, finish = taps_of(op, emitter), finish_of(op, emitter)
    if finish.kind != "relu":
        return taps, finish
    layer = layer_numbers(op, emitter)
    steps = None if any(channel.wraps for channel in layer.channels) else find_steps(layer.channels, _PREFERRED_SHIFT)
    if steps is None or steps.shift is None or steps.shift > _LARGEST_SHIFT:
        return taps, finish
    constant = layer.constants
    words = np.where(constant, 0, SCALE * finish.bias) + steps.offsets
    wrapped = (words + (1 << (_WORD_BITS - 1))) % (1 << _WORD_BITS) - (1 << (_WORD_BITS - 1))
    found = replace(finish, bias=wrapped, multiplier=steps.words[:, 0], kind="steps", shift=steps.shift)
    return np.where(constant, 0, taps).astype(np.int8), found


def _kind(shifts: Integers, bounds: tuple[int, int], zero: int) -> str:
    """relu: clamped by the type alone, at the zero point, where no negative number is left; linear: clamped by the type
    alone; clamped: by other bounds; any: with shifts to the left too."""
    if (shifts > 0).any():
        return "any"
    if bounds != (-128, 127):
        return "clamped"
    return "relu" if zero == -128 else "linear"
