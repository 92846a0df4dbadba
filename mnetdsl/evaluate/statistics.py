"""What can be said from a sample: shares with intervals, differences of pairs, confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, exp, sqrt

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054
"""Of the normal distribution, for intervals of 95 %."""
_EXACT = 1000
"""Up to so many discordant pairs the binomial test is computed exactly."""


@dataclass(frozen=True)
class Share:
    """`count` of `total`, and the interval that holds the true share with 95 % (Wilson 1927)."""

    count: int
    total: int

    @property
    def value(self) -> float:
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        n, p = self.total, self.value
        center = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return max(0.0, center - half), min(1.0, center + half)


@dataclass(frozen=True)
class Pairing:
    """Two networks on the same images. `difference` is other less this one, in shares of all images.

    agree: images that both give the same class; differing: of the others the place, this one's class and the other's.
    Neither is known of networks of different numbers of classes.
    """

    both: int
    only_this: int
    only_other: int
    neither: int
    agree: int | None
    differing: tuple[tuple[int, int, int], ...] = ()

    @property
    def total(self) -> int:
        return self.both + self.only_this + self.only_other + self.neither

    @property
    def difference(self) -> float:
        return (self.only_other - self.only_this) / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, from the images that only one of them gets right (McNemar 1947; Wald's interval of paired shares)."""
        discordant = self.only_this + self.only_other
        half = Z * sqrt(max(0.0, discordant - self.total * self.difference**2)) / self.total
        return self.difference - half, self.difference + half

    @property
    def p_value(self) -> float:
        """How likely so uneven a split of the discordant images is where the networks are equally good."""
        n, k = self.only_this + self.only_other, min(self.only_this, self.only_other)
        if n > _EXACT:
            return exp(-2 * n * (0.5 - k / n) ** 2)  # Hoeffding's bound
        return min(1.0, float(2 * sum(comb(n, i) for i in range(k + 1)) / (1 << n)))


def ranks(logits: NDArray[np.generic], classes: Sequence[int]) -> NDArray[np.int64]:
    """For each row of logits `[N, K]` how many classes come before the right one; of equals the lower index does.

    A row that is not finite ranks its class last.
    """
    values = logits.astype(np.float64)
    right = np.asarray(classes)
    own = values[np.arange(len(right)), right][:, None]
    before = (values > own) | ((values == own) & (np.arange(values.shape[1])[None] < right[:, None]))
    counts: NDArray[np.int64] = before.sum(axis=1).astype(np.int64)
    counts[~np.isfinite(values).all(axis=1)] = values.shape[1]
    return counts


def predictions(logits: NDArray[np.generic]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.argmax(logits.astype(np.float64), axis=1).astype(np.int64)
    return found


def confusions(predicted: Sequence[int], classes: Sequence[int], most: int) -> list[tuple[int, int, int]]:
    """(right class, predicted class, how often) of the most frequent mistakes, the more frequent first."""
    counts = Counter((right, found) for found, right in zip(predicted, classes, strict=True) if found != right)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(right, found, count) for (right, found), count in ordered[:most]]


def pair(
    this: NDArray[np.generic], other: NDArray[np.generic], classes: Sequence[int], other_classes: Sequence[int]
) -> Pairing:
    """Two networks' logits `[N, K]` image by image; `agree` counts equal predictions where K is equal."""
    mine, theirs = ranks(this, classes) == 0, ranks(other, other_classes) == 0
    same, differing = None, []
    if this.shape[1] == other.shape[1]:
        found = list(zip(predictions(this).tolist(), predictions(other).tolist(), strict=True))
        differing = [(place, ours, others) for place, (ours, others) in enumerate(found) if ours != others]
        same = len(found) - len(differing)
    return Pairing(
        int((mine & theirs).sum()),
        int((mine & ~theirs).sum()),
        int((~mine & theirs).sum()),
        int((~mine & ~theirs).sum()),
        same,
        tuple(differing),
    )
