"""Layer normalization."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from mnetdsl.ir.ops.layer_norm import LayerNorm


def layer_norm(op: LayerNorm, input: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    return functional.layer_norm(input, (input.shape[-1],), scale, offset, op.epsilon)
