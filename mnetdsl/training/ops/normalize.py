"""The declared preprocessing."""

from __future__ import annotations

import torch
from torch import Tensor

from mnetdsl.ir.ops.normalize import Normalize


def normalize(op: Normalize, input: Tensor) -> Tensor:
    """(input - mean) / std over the last axis; integers become float32, floats keep their precision."""
    values = input if input.is_floating_point() else input.to(torch.float32)
    return (values - values.new_tensor(op.mean)) / values.new_tensor(op.std)
