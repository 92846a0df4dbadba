"""Activations on vectors of float32, a comparison and a choice each where that is one instruction.

`maximum(x, c)` as "c where x < c, else x" lets NaN through, as the interpreter does, and is a single instruction on x86
and a short sequence elsewhere; MLIR's own maximum takes three there.
"""

from __future__ import annotations

from math import sqrt

from iree.compiler.dialects import arith, math

from mnetdsl.backends.iree.kernels.language import MlirValue, filled, multiply_add

CHEAP = frozenset({"none", "relu", "relu6", "hard_sigmoid", "hard_swish"})


def activate(x: MlirValue, activation: str) -> MlirValue:
    """`x`, a float32 or a vector of them, under an activation attribute of the IR."""
    match activation:
        case "none":
            return x
        case "relu":
            return at_least(x, 0.0)
        case "relu6":
            return at_most(at_least(x, 0.0), 6.0)
        case "hard_sigmoid":
            return _hard_sigmoid(x)
        case "hard_swish":
            return arith.mulf(x, _hard_sigmoid(x))
        case "sigmoid":
            return _sigmoid(x)
        case "silu":
            return arith.mulf(x, _sigmoid(x))
        case "gelu":
            half = arith.mulf(x, filled(0.5, x.type))
            return multiply_add(half, math.erf(arith.mulf(x, filled(1.0 / sqrt(2.0), x.type))), half)
        case "tanh":
            return math.tanh(x)
    raise KeyError(activation)


def at_least(x: MlirValue, low: float) -> MlirValue:
    bound = filled(low, x.type)
    return arith.select(arith.cmpf(arith.CmpFPredicate.OLT, x, bound), bound, x)


def at_most(x: MlirValue, high: float) -> MlirValue:
    bound = filled(high, x.type)
    return arith.select(arith.cmpf(arith.CmpFPredicate.OGT, x, bound), bound, x)


def _hard_sigmoid(x: MlirValue) -> MlirValue:
    """relu6(x + 3) / 6, the quotient as a product: one rounding of the last place apart."""
    shifted = arith.addf(x, filled(3.0, x.type))
    return arith.mulf(at_most(at_least(shifted, 0.0), 6.0), filled(1.0 / 6.0, x.type))


def _sigmoid(x: MlirValue) -> MlirValue:
    one = filled(1.0, x.type)
    return arith.divf(one, arith.addf(one, math.exp(arith.negf(x))))
