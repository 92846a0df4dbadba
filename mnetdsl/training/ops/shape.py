"""Operations that move elements."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mnetdsl.ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose


def pad(op: Pad, input: Tensor) -> Tensor:
    top, bottom, left, right = op.padding
    return functional.pad(input, (0, 0, left, right, top, bottom), value=op.value)


def concat(op: Concat, inputs: tuple[Tensor, ...]) -> Tensor:
    return torch.cat(inputs, dim=op.axis)


def reshape(op: Reshape, input: Tensor) -> Tensor:
    return input.reshape(input.shape[0], *op.shape)


def transpose(op: Transpose, input: Tensor) -> Tensor:
    return input.permute(0, *(axis + 1 for axis in op.order))


def slice_(op: Slice, input: Tensor) -> Tensor:
    for axis, (start, count) in enumerate(zip(op.begin, op.size, strict=True)):
        input = input.narrow(axis + 1, start, count)
    return input
