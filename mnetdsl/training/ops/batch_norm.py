"""Batch normalization, with the statistics of the batch in training."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from mnetdsl.ir.ops.batch_norm import BatchNorm


def batch_norm(
    op: BatchNorm,
    input: Tensor,
    scale: Tensor,
    offset: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    training: bool,
    momentum: float,
) -> Tensor:
    """input [N, …, C], scale, offset, mean, variance [C]  ->  [N, …, C]

    In training the batch's own mean and biased variance normalize, and `mean` and `variance` (unbiased) move towards
    them by `momentum`, in place, as in `torch.nn.BatchNorm2d`.
    """
    result = functional.batch_norm(
        input.movedim(-1, 1), mean, variance, scale, offset, training=training, momentum=momentum, eps=op.epsilon
    )
    return result.movedim(1, -1)
