"""Runs of channels that share a finish, for kernels that work on a few channels at a time and on nothing between them.

Depthwise layers have channels far from the others: a weight scale near zero and a bias that makes up for it, say. Only
the few channels around those take another kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.quantized.dsp.finish import Integers, Layer, find_exact, steps_of
from mnetdsl.backends.c.quantized.dsp.steps import Channel, common_shift

STEPS, EXACT, PLAIN = "steps", "exact", "plain"
"""By slopes with one shift, by the exact form, by the reference's arithmetic on sums that are not scaled."""
_FEW = 8
"""Less than one in so many is not worth a kernel of its own."""
_HOPELESS = 8
"""Channels without a slope after which no other is looked for, if they are more than half."""


@dataclass(frozen=True, eq=False)
class Group:
    """Channels [first, last) of a layer. offsets and words as in `finish.Finish`, in PLAIN groups 0, and multiplier and
    shift of the reference; constants: whose sums are 0, none in PLAIN groups."""

    kind: str
    first: int
    last: int
    shift: int | None
    offsets: Integers
    words: Integers
    constants: NDArray[np.bool_]

    @property
    def name(self) -> str:
        return f"s{self.shift}" if self.kind == STEPS else self.kind


def groups(layer: Layer, size: int, preferred: int) -> list[Group]:
    """The channels of a layer in groups of multiples of `size`."""
    channels = layer.channels
    shift, slopes = _slopes(channels, preferred)
    starts = range(0, len(channels), size)
    kinds = [_kind(channels[start : start + size], slopes[start : start + size]) for start in starts]
    if _FEW * kinds.count(EXACT) < len(kinds):
        kinds = [PLAIN if kind == EXACT else kind for kind in kinds]
    found = []
    for kind, run in groupby(zip(starts, kinds, strict=True), key=lambda pair: pair[1]):
        members = [start for start, _ in run]
        first, last = members[0], members[-1] + size
        own = slice(first, last)
        constants = layer.constants[own]
        if kind == STEPS:
            words = np.array([slope or (0, 0) for slope in slopes[own]], np.int64)
            found.append(Group(kind, first, last, shift, words[:, 0], words[:, 1:], constants))
        elif kind == EXACT:
            exact = find_exact(channels[own])
            assert exact is not None, "every channel was asked"
            found.append(Group(kind, first, last, None, exact.offsets, exact.words, constants))
        else:
            words = np.array([(channel.multiplier, channel.shift) for channel in channels[own]], np.int64)
            none = np.zeros(last - first, np.int64)
            found.append(Group(kind, first, last, None, none, words, np.zeros(last - first, np.bool_)))
    return found


def _slopes(channels: tuple[Channel, ...], preferred: int) -> tuple[int | None, list[tuple[int, int] | None]]:
    """A shift for all channels, and offset and slope of those that have them."""
    usable = [channel for channel in channels if not channel.is_constant and not channel.wraps]
    largest = common_shift(usable)
    if largest is None:
        return None, [None] * len(channels)
    shift = min(preferred, largest)
    found: list[tuple[int, int] | None] = []
    missing = 0
    for channel in channels:
        hopeless = missing >= _HOPELESS and 2 * missing > len(found)
        found.append(None if hopeless or channel.wraps else steps_of(channel, shift))
        missing += found[-1] is None
    return shift, found


def _kind(channels: tuple[Channel, ...], slopes: list[tuple[int, int] | None]) -> str:
    if all(slopes):
        return STEPS
    if not any(channel.wraps for channel in channels) and find_exact(channels) is not None:
        return EXACT
    return PLAIN
