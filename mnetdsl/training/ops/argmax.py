"""The index of the largest number."""

from __future__ import annotations

import torch
from torch import Tensor

from mnetdsl.ir.ops.argmax import Argmax


def argmax(op: Argmax, input: Tensor) -> Tensor:
    return input.argmax(dim=-1).to(torch.int32)
