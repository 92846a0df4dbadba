"""Maps in another size; by positions of our own, since PyTorch knows only some of the grids."""

from __future__ import annotations

import torch
from torch import Tensor

from mnetdsl.ir.ops.resize import Resize
from mnetdsl.numerics.resize import float_positions, nearest_positions


def resize(op: Resize, input: Tensor) -> Tensor:
    """input [N, H, W, C]  ->  [N, *size, C]"""
    corners = {"align_corners": op.align_corners, "half_pixel_centers": op.half_pixel_centers}
    for axis, size in enumerate(op.size, start=1):
        before = input.shape[axis]
        if op.method == "nearest":
            input = input.index_select(axis, _indices(nearest_positions(before, size, **corners), input))
            continue
        found = float_positions(before, size, **corners)
        lower = input.index_select(axis, _indices(found.lower, input))
        upper = input.index_select(axis, _indices(found.upper, input))
        weight = torch.as_tensor(found.weight, dtype=input.dtype, device=input.device)
        weight = weight.reshape(-1, *(1 for _ in range(3 - axis)))
        input = lower * (1 - weight) + upper * weight
    return input


def _indices(positions: object, like: Tensor) -> Tensor:
    return torch.as_tensor(positions, dtype=torch.int64, device=like.device)
