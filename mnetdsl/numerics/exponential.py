"""exp in float32, the same on every machine.

TensorFlow Lite's tables call the C library's `expf`. This is the method of glibc's (Arm Optimized Routines, expf.c,
MIT licence): with x = (k / 32 + r) * log(2), exp(x) is 2^(k / 32) * 2^r in float64, where 2^r is a polynomial of
degree 3; the result is within 0.502 units in the last place, and not always the nearest number, which is why the
polynomial matters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PARTS = 32
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
_POLYNOMIAL = (
    float.fromhex("0x1.c6af84b912394p-5") / _PARTS**3,
    float.fromhex("0x1.ebfce50fac4f3p-3") / _PARTS**2,
    float.fromhex("0x1.62e42ff0c52d6p-1") / _PARTS,
)
"""Of 2^r, highest power first, without the constant 1."""
_POWERS = np.exp2(np.arange(_PARTS) / _PARTS)


def exp_single(x: NDArray[Any]) -> NDArray[np.float32]:
    """exp of float32 numbers, as float32; 0 or infinity where it is too small or too large."""
    scaled = np.clip(x.astype(np.float64), -200.0, 200.0) * (_LOG2_E * _PARTS)
    nearest = np.rint(scaled)
    rest = scaled - nearest
    steps = nearest.astype(np.int64)
    third, second, first = _POLYNOMIAL
    power = (third * rest + second) * (rest * rest) + (first * rest + 1.0)
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(power * _POWERS[steps % _PARTS], (steps // _PARTS).astype(np.int32)).astype(np.float32)
