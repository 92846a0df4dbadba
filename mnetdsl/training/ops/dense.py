"""Fully connected layer."""

from __future__ import annotations

from torch import Tensor

from mnetdsl.ir.ops.dense import Dense
from mnetdsl.training.ops.activation import activate


def dense(op: Dense, input: Tensor, filter: Tensor, bias: Tensor | None = None) -> Tensor:
    """input [N, I], filter [I, O], bias [O]  ->  [N, O]"""
    result = input @ filter
    return activate(result if bias is None else result + bias, op.activation)
