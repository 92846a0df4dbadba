"""Product of two computed matrices."""

from __future__ import annotations

from torch import Tensor

from mnetdsl.ir.ops.matmul import Matmul


def matmul(op: Matmul, left: Tensor, right: Tensor) -> Tensor:
    """left [N, M, K], right [N, K, P] or, transposed, [N, P, K]  ->  [N, M, P]"""
    return (left @ (right.transpose(1, 2) if op.transpose == "right" else right)) * op.scale
