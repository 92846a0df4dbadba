"""Softmax."""

from __future__ import annotations

from torch import Tensor

from mnetdsl.ir.ops.softmax import Softmax


def softmax(op: Softmax, input: Tensor) -> Tensor:
    return input.softmax(dim=-1)
