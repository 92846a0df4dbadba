"""Pad, concat and reshape."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mnetdsl.ir.ops.shape import Concat, Pad, Reshape


def pad(op: Pad, input: Tensor) -> Tensor:
    top, bottom, left, right = op.padding
    return functional.pad(input, (0, 0, left, right, top, bottom), value=op.value)


def concat(op: Concat, inputs: tuple[Tensor, ...]) -> Tensor:
    return torch.cat(inputs, dim=op.axis)


def reshape(op: Reshape, input: Tensor) -> Tensor:
    return input.reshape(input.shape[0], *op.shape)
