"""Product of two computed matrices."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Float, Operand, String
from mnetdsl.ir.types import TensorType


class Matmul(Op):
    """scale * left @ right, or scale * left @ right^T: scores and values of attention (Vaswani et al. 2017, eq. 1).

    left [N, M, K], right [N, K, P] ([N, P, K] where `transpose` is right)  ->  [N, M, P]
    """

    opcode = "matmul"
    left = Operand(rank=3)
    right = Operand(rank=3)
    transpose = String(default="none", choices=("none", "right"))
    scale = Float(default=1.0)

    def infer(self) -> TensorType:
        batch, rows, depth = self.left.type.shape
        _, right_rows, right_columns = self.right.type.shape
        right_depth, columns = (right_columns, right_rows) if self.transpose == "right" else (right_rows, right_columns)
        if depth != right_depth:
            raise ShapeError(f"`matmul` needs equal inner sizes, got {depth} and {right_depth}", "right")
        return self.left.type.with_shape((batch, rows, columns))
