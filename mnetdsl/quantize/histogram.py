"""What a tensor was seen to hold: extremes, extremes per channel, and a histogram whose range grows with the values.

The bins of a histogram are 2^e wide and aligned at zero. A value beyond the last bin doubles the width and merges
neighbours, so the counts depend on the values alone: not on their order, nor on how they came in batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import frexp

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Counts = NDArray[np.int64]

SIDE = 2048
"""Bins on each side of zero."""
_CHUNK = 1 << 18
_EMPTY = -149
"""The exponent before any value but zero was seen: the smallest of float32."""


@dataclass
class Histogram:
    """Counts of values; bin `i` holds those of [(i - SIDE) * 2^exponent, (i - SIDE + 1) * 2^exponent)."""

    exponent: int = _EMPTY
    counts: Counts = field(default_factory=lambda: np.zeros(2 * SIDE, np.int64))

    def add(self, values: Floats) -> None:
        """Counts finite values of any shape."""
        flat = values.reshape(-1)
        if not flat.size:
            return
        self.grow(max(float(flat.max()), -float(flat.min())))
        scale = np.float32(2.0**-self.exponent) if self.exponent > -126 else None
        for start in range(0, flat.size, _CHUNK):
            part = flat[start : start + _CHUNK]
            scaled = part * scale if scale is not None else part.astype(np.float64) * 2.0**-self.exponent
            np.floor(scaled, out=scaled)
            bins = scaled.astype(np.int32)
            bins += SIDE
            self.counts += np.bincount(bins, minlength=2 * SIDE)

    def grow(self, largest: float) -> None:
        """Makes room for magnitudes up to `largest`."""
        if largest <= 0.0:
            return
        needed = frexp(largest)[1] - SIDE.bit_length() + 1
        # frexp: largest < 2^e; a bin's index must stay below SIDE = 2^(bit_length - 1).
        if needed > self.exponent:
            self._merge(needed - self.exponent)
            self.exponent = needed

    def _merge(self, doublings: int) -> None:
        index = (np.arange(2 * SIDE) - SIDE) >> min(doublings, 62)
        merged = np.zeros_like(self.counts)
        np.add.at(merged, index + SIDE, self.counts)
        self.counts = merged

    @property
    def width(self) -> float:
        return float(2.0**self.exponent)

    @property
    def centers(self) -> Doubles:
        return np.asarray((np.arange(2 * SIDE) - SIDE + 0.5) * self.width, np.float64)

    @property
    def total(self) -> int:
        return int(self.counts.sum())


@dataclass
class TensorStatistics:
    """A tensor over all calibration images. Channels are its last dimension.

    `averages` are moving averages of each batch's extremes. `mean` is per channel, over all other dimensions.
    """

    histogram: Histogram
    low: Doubles
    high: Doubles
    total: Doubles
    count: int = 0
    averages: tuple[float, float] | None = None

    MOMENTUM = 0.9

    @classmethod
    def of(cls, channels: int) -> TensorStatistics:
        return cls(Histogram(), np.full(channels, np.inf), np.full(channels, -np.inf), np.zeros(channels))

    def add(self, values: Floats) -> None:
        """values [N, …, C], finite."""
        rows = values.reshape(-1, values.shape[-1])
        low, high = rows.min(axis=0), rows.max(axis=0)
        np.minimum(self.low, low, out=self.low)
        np.maximum(self.high, high, out=self.high)
        self.total += rows.sum(axis=0, dtype=np.float64)
        self.count += rows.shape[0]
        first, last = float(low.min()), float(high.max())
        if self.averages is None:
            self.averages = (first, last)
        else:
            keep = self.MOMENTUM
            self.averages = (
                keep * self.averages[0] + (1 - keep) * first,
                keep * self.averages[1] + (1 - keep) * last,
            )
        self.histogram.add(rows)

    @property
    def range(self) -> tuple[float, float]:
        return float(self.low.min()), float(self.high.max())

    @property
    def mean(self) -> Doubles:
        return self.total / max(1, self.count)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All of it as arrays, for a file; `from_arrays` reads them back."""
        return {
            "counts": self.histogram.counts,
            "low": self.low,
            "high": self.high,
            "total": self.total,
            "numbers": np.array([self.histogram.exponent, self.count, *(self.averages or (0.0, 0.0))], np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> TensorStatistics:
        exponent, count, low, high = (float(number) for number in np.asarray(arrays["numbers"], np.float64))
        histogram = Histogram(int(exponent), np.array(arrays["counts"], np.int64))
        lows, highs, total = (np.array(arrays[name], np.float64) for name in ("low", "high", "total"))
        return cls(histogram, lows, highs, total, int(count), (low, high) if count else None)
