"""Requantization in float32 with the bits of the fixed-point form, proven channel by channel.

A layer's sums are integers x, and its stored results q(x) grow with them: they are known by their thresholds, the
smallest x that gives q or more. round(x * factor + offset) in float32 grows with x too. Where all thresholds of both
within the sums that the weights allow are the same, both are the same function. One fused multiply-add has 24 bits, 8
for the result and the rest for the place between two of them, which is just enough if results are counted from the
middle of their range: of MobileNetV2's channels, half pass with the factor itself, and nearly all with one a few units
in the last place beside it. What remains are single sums, one or two a channel, for which the result is a step off:
they are listed, and corrected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.requantization import ONE_BITS

Array = NDArray[Any]
TRIALS = 160
MOST_CORRECTED = 2
"""Sums of a channel that may be corrected."""
EXACT = 2**24
SMALLEST = 2.0**-20
"""Of the factors for which `evaluate` is exact."""
_FAR = np.int64(2**40)
_SPREAD = 4e-6
"""Of the offsets that are tried: half a unit in the last place of the largest result."""


@dataclass(frozen=True)
class Steps:
    """What is to be computed: of sums `least` to `most` [O] stored results `low` to `high`, as signed bytes, by factors
    multiplier * 2^(shift - 31) [O].

    centered: results are counted from the middle of the bytes; not for those below the zero point, whose halves go down
    while those above go up. Otherwise they are counted from the zero point.
    """

    multipliers: Array
    shifts: Array
    zero_point: int
    low: int
    high: int
    least: Array
    most: Array
    centered: bool

    def factors(self) -> Array:
        """[O]: as real numbers."""
        found: Array = self.multipliers * np.exp2(self.shifts.astype(np.float64) - ONE_BITS)
        return found

    def offsets(self) -> Array:
        """[O]: what is added to a sum times its factor before the fraction goes: two roundings make it over a half."""
        right = np.maximum(-self.shifts, 0)
        found: Array = np.where(right > 0, 0.5, 0.0) + np.exp2(-1.0 - right)
        return found

    def thresholds(self) -> Array:
        """[high - low, O]: the smallest sum that gives low + 1, low + 2, … or more."""
        steps = np.arange(self.low + 1, self.high + 1, dtype=np.int64)[:, None] - self.zero_point
        right, left = np.maximum(-self.shifts, 0), np.maximum(self.shifts, 0)
        half = np.int64(1) << (ONE_BITS - 1)
        divided = right > 0
        offset = half + np.where(divided, np.int64(1) << (ONE_BITS - 1 + right), 0)
        offset = offset - np.where(divided & (steps < 1), np.int64(1) << ONE_BITS, 0)
        slope = np.maximum(self.multipliers.astype(np.int64) << left, 1)
        found = -((offset - steps * (np.int64(1) << (ONE_BITS + right))) // slope)
        never = np.where(steps < 1, -_FAR, _FAR)
        result: Array = np.where(self.multipliers == 0, never, found)
        return result


@dataclass(frozen=True)
class MeanSteps(Steps):
    """Of sums of `count` numbers of the result's own grid their mean, halves away from zero."""

    count: int = 1

    def factors(self) -> Array:
        return np.full(len(self.least), 1.0 / self.count)

    def offsets(self) -> Array:
        """Between the threshold and the sum below it."""
        return np.full(len(self.least), 0.5 if self.count % 2 else 0.5 + 0.5 / self.count)

    def thresholds(self) -> Array:
        steps = np.arange(self.low + 1, self.high + 1, dtype=np.int64)[:, None] - self.zero_point
        half = self.count // 2
        found = np.where(steps >= 1, steps * self.count - half, (steps - 1) * self.count + half + 1)
        return np.repeat(found, len(self.least), axis=1)


@dataclass(frozen=True)
class Proven:
    """factor, offset [O] float32; sums [n, O] for which `corrections` [n, O], 1, -1 or 0, are added."""

    factor: Array
    offset: Array
    sums: Array
    corrections: Array


def prove(steps: Steps) -> Proven | None:
    """None where a channel has more than `MOST_CORRECTED` sums that are off, or none was proven."""
    thresholds = steps.thresholds()
    limits = steps.least[None, :], steps.most[None, :]
    reached = (thresholds <= limits[1]) & (thresholds > limits[0])
    factors = steps.factors()
    small = reached.any(axis=0) & (factors < SMALLEST)
    if (reached & (np.abs(thresholds) >= EXACT)).any() or small.any():
        return None
    if (np.maximum(-steps.least, steps.most) * np.maximum(factors, 1.0) >= 2**30).any():
        return None
    # A threshold that no sum crosses is moved to one that shows the same.
    thresholds = np.clip(thresholds, limits[0], limits[1] + 1)
    first = steps.offsets()
    offsets = first - 0.5 + steps.zero_point if steps.centered else first
    random = np.random.default_rng(0)
    channels = np.arange(len(factors))
    best_factor, best_offset = factors.astype(np.float32), offsets.astype(np.float32)
    fewest = np.full(len(factors), np.iinfo(np.int64).max)
    for trial in range(TRIALS):
        size = len(channels)
        nudged = factors[channels] * (1 + (random.integers(-3, 4, size) if trial else 0) * 2.0**-24)
        factor = nudged.astype(np.float32)
        offset = (offsets[channels] + (random.standard_normal(size) * _SPREAD if trial else 0)).astype(np.float32)
        count = _wrong(steps, thresholds[:, channels], channels, factor, offset)
        better = count < fewest[channels]
        chosen = channels[better]
        best_factor[chosen], best_offset[chosen], fewest[chosen] = factor[better], offset[better], count[better]
        channels = channels[fewest[channels] > 0]
        if not len(channels):
            break
    if fewest.max(initial=0) > MOST_CORRECTED:
        return None
    return _corrected(steps, thresholds, best_factor, best_offset, int(fewest.max(initial=0)))


def evaluate(steps: Steps, sums: Array, factor: Array, offset: Array) -> Array:
    """What the instructions compute: a fused multiply-add of float32, rounded to even or, not centered, to zero."""
    wide = sums.astype(np.float32).astype(np.float64)
    # Products have at most 48 bits: with factors of 2^-20 and more, float64 holds them and the offset exactly.
    if steps.centered:
        rounded: Array = np.rint((wide * factor.astype(np.float64) + offset.astype(np.float64)).astype(np.float32))
        return rounded
    moved = np.where(sums < 0, -offset.astype(np.float64), offset.astype(np.float64))
    return np.trunc((wide * factor.astype(np.float64) + moved).astype(np.float32)) + steps.zero_point


def _misses(
    steps: Steps, thresholds: Array, channels: Array, factor: Array, offset: Array
) -> tuple[Array, Array, Array]:
    """[K, O] each: a result that comes a sum too late, one that comes a sum too early, and any that is farther off."""
    wanted = np.arange(steps.low + 1, steps.high + 1)[:, None]
    least, most = steps.least[channels], steps.most[channels]

    def reaches(sums: Array) -> Array:
        found: Array = evaluate(steps, sums, factor, offset) >= wanted
        return found

    late = ~reaches(thresholds) & (thresholds <= most)
    early = reaches(thresholds - 1) & (thresholds - 1 >= least)
    far = (late & ~reaches(thresholds + 1) & (thresholds + 1 <= most)) | (
        early & reaches(thresholds - 2) & (thresholds - 2 >= least)
    )
    return late, early, far


def _wrong(steps: Steps, thresholds: Array, channels: Array, factor: Array, offset: Array) -> Array:
    """[O]: how many sums have to be corrected; many where that is not enough."""
    late, early, far = _misses(steps, thresholds, channels, factor, offset)
    count: Array = (late | early).sum(axis=0) + 1000 * far.sum(axis=0)
    # Results less than two sums apart share sums: no correction there.
    dense = (np.diff(thresholds, axis=0) < 3).any(axis=0) if len(thresholds) > 1 else np.zeros(len(count), bool)
    inner = steps.factors()[channels] > 0.25
    return np.where(dense & inner & (count > 0), count + 1000, count)


def _corrected(steps: Steps, thresholds: Array, factor: Array, offset: Array, most: int) -> Proven:
    channels = np.arange(len(factor))
    late, early, _ = _misses(steps, thresholds, channels, factor, offset)
    sums = np.zeros((most, len(factor)), np.int32)
    corrections = np.zeros((most, len(factor)), np.int32)
    for channel in np.flatnonzero((late | early).any(axis=0)):
        found = [(int(thresholds[k, channel]), 1) for k in np.flatnonzero(late[:, channel])]
        found += [(int(thresholds[k, channel]) - 1, -1) for k in np.flatnonzero(early[:, channel])]
        for place, (sum, correction) in enumerate(found):
            sums[place, channel], corrections[place, channel] = sum, correction
    return Proven(factor, offset, sums, corrections)
