"""The unary functions, in float32: as operations of their own and as the epilogue of others.

Each reads `x` and writes `out` (float32, the same shape), which may be `x` itself. NaN stays NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mnetdsl.interpreter.frame import Array
from mnetdsl.numerics.gelu import gelu


def relu(x: Array, out: Array) -> None:
    np.maximum(x, 0.0, out=out)


def relu6(x: Array, out: Array) -> None:
    x.clip(0.0, 6.0, out=out)


def hard_sigmoid(x: Array, out: Array) -> None:
    np.add(x, 3.0, out=out)
    out.clip(0.0, 6.0, out=out)
    np.divide(out, 6.0, out=out)


def hard_swish(x: Array, out: Array) -> None:
    gate = np.add(x, 3.0)
    gate.clip(0.0, 6.0, out=gate)
    np.multiply(x, gate, out=out)
    np.divide(out, 6.0, out=out)


def sigmoid(x: Array, out: Array) -> None:
    """1 / (1 + exp(-x)) for x >= 0, exp(x) / (1 + exp(x)) below: the exponential never overflows."""
    decay = np.exp(-np.abs(x))
    np.divide(np.where(x >= 0.0, np.float32(1.0), decay), 1.0 + decay, out=out)


def silu(x: Array, out: Array) -> None:
    gate = np.empty_like(x)
    sigmoid(x, gate)
    np.multiply(x, gate, out=out)


def tanh(x: Array, out: Array) -> None:
    np.tanh(x, out=out)


ACTIVATIONS: dict[str, Callable[[Array, Array], None]] = {
    "relu": relu,
    "relu6": relu6,
    "hard_sigmoid": hard_sigmoid,
    "hard_swish": hard_swish,
    "sigmoid": sigmoid,
    "silu": silu,
    "gelu": gelu,
    "tanh": tanh,
}


def activate(name: str, block: Array) -> None:
    """Applies the epilogue `name` to `block` in place; `none` leaves it."""
    if name != "none":
        ACTIVATIONS[name](block, block)
