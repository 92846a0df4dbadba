"""How far a result is from the interpreter's, and how far it may be."""

from __future__ import annotations

from math import isfinite

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

TOLERANCE = 1e-4
"""Largest accepted error, as a fraction of the largest magnitude of the same layer on the interpreter, in front of its
activation (`scale`).

Backends add the same float32 products in another order. A sum of K products then differs by about sqrt(K) * 2**-24 of
its magnitude: 4e-6 for the longest sums of a MobileNet (K = 4,608). Errors of layers that follow each other add like
random steps: sqrt(100) * 4e-6 = 4e-5 for a hundred such layers. MobileNetV2 1.0 at 224x224 reaches 2e-6 on all
backends. A real fault (a lost bias, a padding on the wrong side, swapped channels) shows at 1e-2 and above.
"""


class Difference:
    """The largest difference over all inputs so far, of one output or layer."""

    def __init__(self) -> None:
        self.peak = 0.0
        """Largest magnitude in the reference, and in front of its activation."""
        self.absolute = 0.0
        self.problem: str | None = None
        """Why there is no difference to speak of: a missing result, another shape, a value that is not finite."""

    def add(self, reference: Array, result: Array | None, before: float = 0.0) -> None:
        """Takes in one more piece of the inputs; `before` is the largest magnitude in front of the activation."""
        self.peak = max(self.peak, _peak(reference), before if isfinite(before) else 0.0)
        if self.problem is None:
            self.problem = _problem(reference, result)
        if self.problem is None and result is not None and reference.size:
            self.absolute = max(self.absolute, float(np.abs(_wide(result) - _wide(reference)).max()))

    @property
    def relative(self) -> float:
        """`absolute` as a fraction of `peak`; infinite where there is a problem."""
        if self.problem is not None:
            return np.inf
        if self.absolute == 0.0:
            return 0.0
        return self.absolute / self.peak if self.peak else np.inf


def _problem(reference: Array, result: Array | None) -> str | None:
    if result is None:
        return "no result"
    if result.shape != reference.shape:
        return f"shape {list(result.shape)} instead of {list(reference.shape)}"
    if result.dtype != reference.dtype:
        return f"{result.dtype} instead of {reference.dtype}"
    if not np.isfinite(reference).all():
        return NOT_FINITE
    if not np.isfinite(result).all():
        count = int((~np.isfinite(result)).sum())
        return f"{count} of {result.size} values are NaN or infinite"
    return None


NOT_FINITE = "the interpreter itself gets NaN or infinity"


def _peak(reference: Array) -> float:
    if not reference.size:
        return 0.0
    with np.errstate(invalid="ignore"):
        peak = float(np.abs(_wide(reference)).max())
    return peak if np.isfinite(peak) else 0.0


def _wide(array: Array) -> NDArray[np.floating]:
    """Integers as floats that hold them exactly, so that differences do not wrap around."""
    return array.astype(np.float64) if array.dtype.kind in "iu" else array.astype(np.float32, copy=False)
