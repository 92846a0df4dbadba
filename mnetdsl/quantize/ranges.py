"""Observers: from what a tensor was seen to hold to the range that its integers cover."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mnetdsl.quantize.histogram import SIDE, Histogram, TensorStatistics

Range = tuple[float, float]
Doubles = NDArray[np.float64]

_STEPS = 256
_CANDIDATES = 48
_KL_LEVELS = 128
_KL_SMALLEST = 1e-12


def min_max(statistics: TensorStatistics) -> Range:
    """All that was seen."""
    return statistics.range


def moving_average(statistics: TensorStatistics) -> Range:
    """Moving averages of each batch's extremes: one odd image moves them little."""
    return statistics.averages or statistics.range


SHARE = 99.99
"""Per cent of the values that `percentile` keeps."""


def percentile(statistics: TensorStatistics, share: float = SHARE) -> Range:
    """Leaves out (100 - share) per cent of the values, half on each side."""
    histogram = statistics.histogram
    low, high = statistics.range
    outside = histogram.total * (100.0 - share) / 200.0
    below = np.cumsum(histogram.counts)
    first = int(np.searchsorted(below, outside, side="right"))
    last = int(np.searchsorted(below, histogram.total - outside, side="left"))
    start = (first - SIDE) * histogram.width
    stop = (last - SIDE + 1) * histogram.width
    return max(low, start), min(high, stop)


def mse(statistics: TensorStatistics) -> Range:
    """The range of least squared error: what is rounded inside it, and what is cut off beside it."""
    low, high = (min(statistics.range[0], 0.0), max(statistics.range[1], 0.0))
    best = (low, high)
    least = _squared_error(statistics.histogram, best)
    for _ in range(2):
        for side in (0, 1):
            extreme = (low, high)[side]
            for step in range(1, _CANDIDATES):
                tried = extreme * (1.0 - step / _CANDIDATES)
                candidate = (tried, best[1]) if side == 0 else (best[0], tried)
                cost = _squared_error(statistics.histogram, candidate)
                if cost < least:
                    best, least = candidate, cost
    return best


def _squared_error(histogram: Histogram, bounds: Range) -> float:
    """Of storing the counted values in 256 steps between `bounds`, in sum."""
    low, high = bounds
    step = (high - low) / (_STEPS - 1)
    if step <= 0.0:
        return float("inf") if histogram.counts.any() else 0.0
    centers = histogram.centers
    # Inside, a value is anywhere between two codes: step^2 / 12, also where bins are wider than steps. Zero has a code
    # of its own, so values next to it lose no more than themselves.
    cut = np.where(centers < low, low - centers, np.where(centers > high, centers - high, 0.0))
    cost = np.where(cut > 0.0, cut * cut, np.minimum(step * step / 12.0, centers * centers))
    return float((cost * histogram.counts).sum())


def kl(statistics: TensorStatistics) -> Range:
    """The clip at which the stored distribution tells least from the seen one (Migacz, "8-bit inference with
    TensorRT", 2017): Kullback-Leibler divergence over magnitudes, the sign kept from the extremes."""
    histogram = statistics.histogram
    low, high = statistics.range
    magnitudes = histogram.counts[SIDE:].astype(np.float64)
    magnitudes += histogram.counts[:SIDE][::-1]
    magnitudes[0] = 0.0  # zeros, which have a code of their own, would hide the rest
    used = int(np.flatnonzero(magnitudes)[-1]) + 1 if magnitudes.any() else 0
    best, least = used, float("inf")
    for stop in range(_KL_LEVELS, used + 1, max(1, used // 128)):
        cost = _divergence(magnitudes, stop)
        if cost < least:
            best, least = stop, cost
    limit = best * histogram.width
    return max(low, -limit), min(high, limit)


def _divergence(magnitudes: Doubles, stop: int) -> float:
    seen = magnitudes[:stop].copy()
    edges = np.linspace(0, stop, _KL_LEVELS + 1).astype(np.int64)
    sums = np.add.reduceat(magnitudes[:stop], edges[:-1])
    filled = np.add.reduceat((magnitudes[:stop] > 0).astype(np.float64), edges[:-1])
    level = np.repeat(np.divide(sums, filled, out=np.zeros_like(sums), where=filled > 0), np.diff(edges))
    stored = np.where(magnitudes[:stop] > 0, level, 0.0)
    seen[-1] += magnitudes[stop:].sum()
    if not seen.sum() or not stored.sum():
        return float("inf")
    p, q = seen / seen.sum(), stored / stored.sum()
    mask = p > 0
    return float((p[mask] * np.log(p[mask] / np.maximum(q[mask], _KL_SMALLEST))).sum())


@dataclass(frozen=True)
class Observer:
    """A way to choose ranges, by the name that options and reports use."""

    name: str
    choose: Callable[[TensorStatistics], Range]


OBSERVERS: dict[str, Observer] = {
    observer.name: observer
    for observer in (
        Observer("min-max", min_max),
        Observer("moving-average", moving_average),
        Observer("percentile", percentile),
        Observer("mse", mse),
        Observer("kl", kl),
    )
}


def observers(share: float) -> dict[str, Observer]:
    """`OBSERVERS`, of which `percentile` keeps `share` per cent of the values."""
    return {**OBSERVERS, "percentile": Observer("percentile", partial(percentile, share=share))}
