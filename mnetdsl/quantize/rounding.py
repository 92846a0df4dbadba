"""Learned rounding: codes that keep a layer's results, where the nearest ones keep only its weights.

A row w of the filter meets windows x. The error of codes q is E[((s q - w) x)^2] = (s q - w) H (s q - w)^T with
H = E[x x^T], less its mean where the bias takes that. Weights are rounded one after the other; what one loses, those
not yet rounded make up for, as far as they meet the same windows (Frantar et al., "GPTQ", 2022, eq. 2, after the
optimal brain surgeon of Hassibi and Stork, 1993); like AdaRound (Nagel et al., 2020, eq. 3) it minimizes the layer's
error on the calibration images, in closed form rather than by gradients.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mnetdsl.quantize.grid import WEIGHT_LIMIT
from mnetdsl.quantize.weights import QuantizedRows, nearest

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

DAMPING = 0.01
"""Of H's mean diagonal, added to it at least."""
_BLOCK = 128
_LARGE = 2.0**48
"""Numbers whose products are summed in float64: sums of 2^32 squares of them would leave float32."""


@dataclass
class Moments:
    """First and second moments of windows.

    Shapes are [K] and [K, K], with [C] in front for depthwise layers. All are
    taken from `shift`, the mean of the first windows: sums of squares far from zero would cancel.
    """

    count: int = 0
    shift: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    sum: Doubles = field(default_factory=lambda: np.zeros(0))
    gram: Doubles = field(default_factory=lambda: np.zeros(0))

    def add(self, seen: Floats | Doubles) -> None:
        """Windows [P, K] or [P, C, K]."""
        if not self.count:
            self.shift = seen.mean(axis=0, dtype=np.float64).astype(np.float32)
        seen = seen - self.shift
        if max(seen.max(initial=0.0), -seen.min(initial=0.0)) > _LARGE:
            seen = seen.astype(np.float64)
        if seen.ndim == 3:
            by_channel = seen.transpose(1, 2, 0)
            gram = by_channel @ by_channel.transpose(0, 2, 1)
        else:
            gram = seen.T @ seen
        total = seen.sum(axis=0, dtype=np.float64)
        self.sum = total if not self.count else self.sum + total
        self.gram = gram.astype(np.float64) if not self.count else self.gram + gram
        self.count += len(seen)

    def covariance(self) -> Doubles:
        """Of the windows."""
        mean = self.sum / self.count
        return self.gram / self.count - _outer(mean, mean)


def _outer(left: Doubles, right: Doubles) -> Doubles:
    return left[..., :, None] * right[..., None, :]


def damped(matrix: Doubles, count: int) -> Doubles:
    """Covariances [..., K, K] of `count` windows with some of their mean diagonal added: the more, the fewer they are.

    Of fewer windows than weights there are directions in which nothing was seen; what is moved there shows on other
    images. With K / count of the diagonal, rounding then is next to nearest.
    """
    size = matrix.shape[-1]
    diagonal = np.trace(matrix, axis1=-2, axis2=-1) / size
    share = DAMPING + size / max(1, count)
    result: Doubles = matrix + (share * np.maximum(diagonal, 1e-12))[..., None, None] * np.eye(size)
    return result


def learned(rows: Doubles, scale: Doubles, covariance: Doubles, count: int) -> QuantizedRows:
    """Codes [O, K] for `rows`, with H = `covariance` [K, K], or [C, K, K] for depthwise rows [C * M, K].

    count: of the windows that the covariance is of.
    """
    if covariance.ndim == 3:
        return _depthwise(rows, scale, damped(covariance, count))
    order = np.argsort(-np.diagonal(covariance), kind="stable")
    upper = _inverse_factor(damped(covariance[np.ix_(order, order)], count))
    codes = np.empty_like(rows)
    codes[:, order] = _sweep(rows[:, order], scale, upper)
    return QuantizedRows(codes, scale)


def _inverse_factor(matrix: Doubles) -> Doubles:
    """Upper triangular U with U^T U = matrix^-1, for [..., K, K]."""
    inverse = np.linalg.inv(matrix)
    inverse = (inverse + np.swapaxes(inverse, -1, -2)) / 2
    return np.swapaxes(np.linalg.cholesky(inverse), -1, -2)


def _sweep(rows: Doubles, scale: Doubles, upper: Doubles) -> Doubles:
    work = rows.copy()
    codes = np.empty_like(rows)
    width = rows.shape[1]
    for start in range(0, width, _BLOCK):
        stop = min(start + _BLOCK, width)
        lost = np.zeros((len(rows), stop - start))
        for index in range(start, stop):
            column = work[:, index]
            code = np.clip(np.rint(column / scale), -WEIGHT_LIMIT, WEIGHT_LIMIT)
            error = (column - code * scale) / upper[index, index]
            work[:, index:stop] -= error[:, None] * upper[index, index:stop]
            codes[:, index] = code
            lost[:, index - start] = error
        work[:, stop:] -= lost @ upper[start:stop, stop:]
    return codes


def _depthwise(rows: Doubles, scale: Doubles, covariance: Doubles) -> QuantizedRows:
    """All channels at once, each with the covariance of its own input channel."""
    multiplier = len(rows) // len(covariance)
    upper = np.repeat(_inverse_factor(covariance), multiplier, axis=0)
    work, codes = rows.copy(), np.empty_like(rows)
    for index in range(rows.shape[1]):
        column = work[:, index]
        codes[:, index] = np.clip(np.rint(column / scale), -WEIGHT_LIMIT, WEIGHT_LIMIT)
        error = (column - codes[:, index] * scale) / upper[:, index, index]
        work[:, index:] -= error[:, None] * upper[:, index, index:]
    return QuantizedRows(codes, scale)


def output_error(rows: Doubles, codes: QuantizedRows, covariance: Doubles) -> Doubles:
    """E[((s q - w) x)^2] of each row [O]."""
    lost = codes.real - rows
    if covariance.ndim == 3:
        repeated = np.repeat(covariance, len(rows) // len(covariance), axis=0)
        spread = np.matmul(lost[:, None, :], repeated)[:, 0]
    else:
        spread = lost @ covariance
    error: Doubles = (spread * lost).sum(axis=1)
    return error


__all__ = ["Moments", "damped", "learned", "nearest", "output_error"]
