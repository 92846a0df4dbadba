"""The epilogue that an operation applies to its result."""

from __future__ import annotations

from torch import Tensor

from mnetdsl.training.ops.unary import FUNCTIONS


def activate(values: Tensor, activation: str) -> Tensor:
    """`activation` is `none` or the name of a unary function."""
    return values if activation == "none" else FUNCTIONS[activation](values)
