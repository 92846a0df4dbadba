"""Sum, difference and product with broadcast."""

from __future__ import annotations

from torch import Tensor

from mnetdsl.ir.ops.elementwise import Add, Mul, Sub
from mnetdsl.training.ops.activation import activate


def add(op: Add, left: Tensor, right: Tensor) -> Tensor:
    return activate(left + right, op.activation)


def sub(op: Sub, left: Tensor, right: Tensor) -> Tensor:
    return activate(left - right, op.activation)


def mul(op: Mul, left: Tensor, right: Tensor) -> Tensor:
    return activate(left * right, op.activation)
