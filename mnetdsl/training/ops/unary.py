"""Unary functions and clamp."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mnetdsl.ir.ops.unary import Clamp, UnaryOp

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "relu6": functional.relu6,
    "hard_sigmoid": functional.hardsigmoid,
    "hard_swish": functional.hardswish,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
}


def evaluate(op: UnaryOp, input: Tensor) -> Tensor:
    return FUNCTIONS[op.opcode](input)


def clamp(op: Clamp, input: Tensor) -> Tensor:
    return input.clamp(op.low, op.high)
