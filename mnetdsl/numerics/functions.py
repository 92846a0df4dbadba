"""Unary functions of real numbers, as the tables of stored ones are made of them."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.exponential import exp_single

Reals = NDArray[Any]
Function = Callable[[Reals], Reals]


def sigmoid_single(x: Reals) -> Reals:
    """In steps of float32, as TensorFlow Lite's table."""
    with np.errstate(over="ignore"):
        result: Reals = np.float32(1) / (np.float32(1) + exp_single(-x))
    return result


def sigmoid(x: Reals) -> Reals:
    with np.errstate(over="ignore"):
        result: Reals = 1.0 / (1.0 + np.exp(-x.astype(np.float64)))
    return result


def tanh(x: Reals) -> Reals:
    result: Reals = np.tanh(x.astype(np.float64))
    return result


def gelu(x: Reals) -> Reals:
    wide = x.astype(np.float64)
    below = np.array([1.0 + erf(value / sqrt(2.0)) for value in wide.reshape(-1)]).reshape(wide.shape)
    result: Reals = wide * below / 2.0
    return result


def silu(x: Reals) -> Reals:
    result: Reals = x.astype(np.float64) * sigmoid(x)
    return result


def hard_sigmoid(x: Reals) -> Reals:
    result: Reals = np.clip(x.astype(np.float64) + 3.0, 0.0, 6.0) / 6.0
    return result


def hard_swish(x: Reals) -> Reals:
    result: Reals = x.astype(np.float64) * hard_sigmoid(x)
    return result


def relu(x: Reals) -> Reals:
    result: Reals = np.maximum(x, 0.0)
    return result


def relu6(x: Reals) -> Reals:
    return np.clip(x, 0.0, 6.0)
