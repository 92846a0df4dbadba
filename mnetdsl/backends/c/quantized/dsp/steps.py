"""A channel's requantization as the staircase that it is: at which sums its result grows, and what takes those steps.

The result of an 8-bit layer is a monotone function of the sum with at most 255 steps. Any cheaper arithmetic that takes
the same steps at the same sums gives the same bits for every sum, and only the steps inside the interval of the
channel's sums have to be taken. `find_slope` looks for

    ((SCALE * sum + offset) * slope >> 32) >> shift, saturated to 8 bits

with one `shift` for a whole layer: the offset holds both roundings and the zero point, and kernels that compute
SCALE * sum + offset anyway spend a multiplication and a saturation on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.requantization import ONE, ONE_BITS

SCALE_BITS = 8
SCALE = 1 << SCALE_BITS
"""Kernels hold their sums multiplied by this."""
LARGEST_SHIFT = 21
"""Up to here the comparisons below fit 64 bits."""
LOW, HIGH = -128, 127
_NEAR = np.arange(-8, 9)
_FAR = np.arange(-300, 301)
_WORD = 1 << 31
_BEYOND = 1 << 33
"""Further out than sums are."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Channel:
    """What one output channel does with its sums, which lie between low_sum and high_sum, bias included."""

    multiplier: int
    shift: int
    zero_point: int
    low_sum: int
    high_sum: int

    @property
    def right(self) -> int:
        """Bits that the second rounding drops."""
        return max(-self.shift, 0)

    @property
    def left(self) -> int:
        return max(self.shift, 0)

    @property
    def wraps(self) -> bool:
        """Whether the reference's first shift may leave 32 bits."""
        return max(-self.low_sum - 1, self.high_sum) << self.left >= _WORD

    @property
    def is_constant(self) -> bool:
        """Whether every sum in the interval has one result."""
        return self.multiplier == 0 or self.result(self.low_sum) == self.result(self.high_sum)

    @property
    def constant(self) -> int:
        """That result."""
        return min(max(self.zero_point, LOW), HIGH) if self.multiplier == 0 else self.result(self.low_sum)

    def steps(self) -> Integers:
        """[255]: the least sum whose result, before any clamp, is at least -127, …, 127. 0 < multiplier."""
        # Numbers of any size: a wide second shift leaves 64 bits.
        level = np.arange(LOW + 1, HIGH + 1).astype(object) - self.zero_point
        if self.right:
            half = 1 << (self.right - 1)
            # A half rounds away from zero: up to a positive level, past a negative one.
            level = level * (1 << self.right) - half + (level <= 0)
        before = _ceiling(level * ONE - ONE // 2, self.multiplier)
        found: Integers = np.clip(_ceiling(before, 1 << self.left), -_BEYOND, _BEYOND).astype(np.int64)
        return found

    def result(self, total: int) -> int:
        """Of one sum, saturated to 8 bits."""
        high = ((total << self.left) * self.multiplier + ONE // 2) >> ONE_BITS
        half = (1 << self.right) >> 1
        rounded = (high + half - (1 if high < 0 < half else 0)) >> self.right
        return min(max(rounded + self.zero_point, LOW), HIGH)


@dataclass(frozen=True)
class Slope:
    """The offset and multiplier that take a channel's steps."""

    offset: int
    slope: int


def common_shift(channels: list[Channel]) -> int | None:
    """The largest shift with which no slope leaves 31 bits; None where there is none that kernels can use."""
    shift = min((SCALE_BITS - 1 - channel.shift for channel in channels), default=SCALE_BITS)
    return min(shift, LARGEST_SHIFT) if shift >= 1 else None


def find_slope(channel: Channel, shift: int, base: int = 0) -> Slope | None:
    """What takes every step of a channel within its interval, or None where nothing near the exact factor does.

    base: a stored number that is added behind the division.
    """
    exponent = shift + channel.shift - (SCALE_BITS - 1)
    nominal = channel.multiplier * 2.0**exponent
    centre = _centre(channel, base)
    lower, upper = _constraints(channel, base)
    for offsets in (_NEAR, _FAR):
        candidates = centre + offsets[np.argsort(np.abs(offsets), kind="stable")]
        found = _feasible(channel, candidates, lower, upper, shift)
        if found is not None:
            offset, least, most = found
            slope = min(max(round(nominal), least), most)
            return Slope(offset, slope)
    return None


def _centre(channel: Channel, base: int) -> int:
    """The exact offset, rounded: both halves and the zero point, in units of 1 / SCALE of a sum."""
    halves = ONE // 2 + (1 << (ONE_BITS - 1 + channel.right) if channel.right else 0)
    total = (halves + ((channel.zero_point - base) << (ONE_BITS + channel.right))) << SCALE_BITS
    return (total // channel.multiplier) >> channel.left


def _constraints(channel: Channel, base: int) -> tuple[tuple[Integers, Integers], tuple[Integers, Integers]]:
    """Sums and levels: at the first ones the result must have reached the level, at the second ones not yet."""
    levels = np.arange(LOW + 1, HIGH + 1, dtype=np.int64)
    steps = channel.steps()
    taken = (steps > channel.low_sum) & (steps <= channel.high_sum)
    reached, below = steps[taken], steps[taken] - 1
    levels = levels[taken]
    first, last = channel.result(channel.low_sum), channel.result(channel.high_sum)
    low_levels, high_levels = levels, levels
    if first > LOW:
        reached, low_levels = np.append(reached, channel.low_sum), np.append(low_levels, first)
    if last < HIGH:
        below, high_levels = np.append(below, channel.high_sum), np.append(high_levels, last + 1)
    return (reached, low_levels - base), (below, high_levels - base)


def _feasible(
    channel: Channel, offsets: Integers, lower: tuple[Integers, Integers], upper: tuple[Integers, Integers], shift: int
) -> tuple[int, int, int] | None:
    """The first of `offsets` with its least and largest slope."""
    low_ends, high_ends = channel.low_sum * SCALE + offsets, channel.high_sum * SCALE + offsets
    least, most = np.ones_like(offsets), np.full_like(offsets, _WORD - 1)
    usable = (low_ends >= -_WORD) & (high_ends < _WORD)
    for (sums, levels), reached in ((lower, True), (upper, False)):
        if not len(sums):
            continue
        at = sums[:, None] * SCALE + offsets
        bound = (levels << (shift + 32))[:, None] - (0 if reached else 1)
        # slope * at >= bound where the level must be reached, slope * at <= bound where it must not.
        positive, zero = at > 0, at == 0
        size = np.where(zero, 1, np.abs(at))
        from_below = positive == reached
        floor = np.where(positive, bound, -bound) // size
        ceiling = -(np.where(positive, -bound, bound) // size)
        least = np.maximum(least, np.where(from_below & ~zero, ceiling, 1).max(axis=0))
        most = np.minimum(most, np.where(~from_below & ~zero, floor, _WORD - 1).min(axis=0))
        usable &= ~(zero & ((bound > 0) if reached else (bound < 0))).any(axis=0)
    good = np.flatnonzero(usable & (least <= most))
    if not len(good):
        return None
    index = good[0]
    return int(offsets[index]), int(least[index]), int(most[index])


def _ceiling(numerator: Any, denominator: int) -> Any:
    return -((-numerator) // denominator)
