"""Scalar float32 arithmetic of the unary functions, in the order of operations in which the interpreter computes."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from iree.compiler.dialects import arith, math

from mnetdsl.backends.iree.tensors import MlirValue, scalar


def clamp(x: MlirValue, low: float, high: float) -> MlirValue:
    return arith.minimumf(arith.maximumf(x, scalar(low)), scalar(high))


def relu(x: MlirValue) -> MlirValue:
    return arith.maximumf(x, scalar(0.0))


def relu6(x: MlirValue) -> MlirValue:
    return clamp(x, 0.0, 6.0)


def hard_sigmoid(x: MlirValue) -> MlirValue:
    return arith.divf(relu6(arith.addf(x, scalar(3.0))), scalar(6.0))


def hard_swish(x: MlirValue) -> MlirValue:
    return arith.divf(arith.mulf(x, relu6(arith.addf(x, scalar(3.0)))), scalar(6.0))


def sigmoid(x: MlirValue) -> MlirValue:
    return arith.divf(scalar(1.0), arith.addf(scalar(1.0), math.exp(arith.negf(x))))


def silu(x: MlirValue) -> MlirValue:
    return arith.mulf(x, sigmoid(x))


def gelu(x: MlirValue) -> MlirValue:
    spread = arith.addf(scalar(1.0), math.erf(arith.mulf(x, scalar(1.0 / sqrt(2.0)))))
    return arith.mulf(arith.mulf(x, scalar(0.5)), spread)


def tanh(x: MlirValue) -> MlirValue:
    return math.tanh(x)


SCALARS: dict[str, Callable[[MlirValue], MlirValue]] = {
    "relu": relu,
    "relu6": relu6,
    "hard_sigmoid": hard_sigmoid,
    "hard_swish": hard_swish,
    "sigmoid": sigmoid,
    "silu": silu,
    "gelu": gelu,
    "tanh": tanh,
}
"""One f32 value to one f32 value, by the name that activations and unary operations share."""
