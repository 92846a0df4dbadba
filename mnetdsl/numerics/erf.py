"""The error function and the normal distribution in float64, for NumPy arrays.

NumPy has no erf. The rational approximations are those of W. J. Cody, "Rational Chebyshev approximations for the
error function", Mathematics of Computation 23 (1969), 631-637, with the coefficients of his CALERF (1990); their
relative error, rounding included, is below 1e-14, so results rounded to float32 are those of the exact function but
for rare near-ties.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64s = NDArray[np.float64]

# Highest power first. erf(x) = x * P(x^2) / Q(x^2), |x| <= 0.5
_NEAR_P = (
    1.85777706184603153e-1,
    3.16112374387056560e0,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
_NEAR_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)

# erfc(x) = exp(-x^2) * P(x) / Q(x), 0.46875 <= x <= 4
_MIDDLE_P = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e0,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
_MIDDLE_Q = (
    1.0,
    1.57449261107098347e1,
    1.17693950891312499e2,
    5.37181101862009858e2,
    1.62138957456669019e3,
    3.29079923573345963e3,
    4.36261909014324716e3,
    3.43936767414372164e3,
    1.23033935480374942e3,
)

# erfc(x) = exp(-x^2) / x * (1 / sqrt(pi) - P(x^-2) / (Q(x^-2) * x^2)), x > 4
_FAR_P = (
    1.63153871373020978e-2,
    3.05326634961232344e-1,
    3.60344899949804439e-1,
    1.25781726111229246e-1,
    1.60837851487422766e-2,
    6.58749161529837803e-4,
)
_FAR_Q = (
    1.0,
    2.56852019228982242e0,
    1.87295284992346725e0,
    5.27905102951428412e-1,
    6.05183413124413191e-2,
    2.33520497626869185e-3,
)


def erf(x: Float64s) -> Float64s:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x; NaN stays NaN."""
    result = np.copysign(1.0 - _erfc_of_magnitude(np.abs(x)), x)
    near = np.abs(x) <= 0.5
    result[near] = _erf_near(x[near])
    return result


def erfc(x: Float64s) -> Float64s:
    """1 - erf(x), without the cancellation for x > 0."""
    tail = _erfc_of_magnitude(np.abs(x))
    result = np.where(x < 0.0, 2.0 - tail, tail)
    near = np.abs(x) <= 0.5
    result[near] = 1.0 - _erf_near(x[near])
    return result


def normal_distribution(x: Float64s) -> Float64s:
    """The probability that a standard normal variable is at most x: (1 + erf(x / sqrt(2))) / 2."""
    return 0.5 * erfc(x * -np.sqrt(0.5))


def _erf_near(x: Float64s) -> Float64s:
    square = x * x
    return x * _polynomial(_NEAR_P, square) / _polynomial(_NEAR_Q, square)


def _erfc_of_magnitude(x: Float64s) -> Float64s:
    """erfc for x > 0.46875; anything for smaller x, NaN for NaN."""
    result = np.exp(-x * x)
    far = x > 4.0
    middle = ~far
    result[middle] *= _polynomial(_MIDDLE_P, x[middle]) / _polynomial(_MIDDLE_Q, x[middle])
    inverse = 1.0 / (x[far] * x[far])
    ratio = _polynomial(_FAR_P, inverse) / _polynomial(_FAR_Q, inverse)
    result[far] *= (1.0 / np.sqrt(np.pi) - inverse * ratio) / x[far]
    return result


def _polynomial(coefficients: tuple[float, ...], x: Float64s) -> Float64s:
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result *= x
        result += coefficient
    return result
