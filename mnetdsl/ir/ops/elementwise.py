"""Binary element by element operations: add, sub, mul."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Operand
from mnetdsl.ir.ops.activation import activation_attribute
from mnetdsl.ir.types import Shape, TensorType


def broadcast_shape(opcode: str, left: Shape, right: Shape) -> Shape:
    """NumPy's broadcast of two shapes of equal rank; raises `ShapeError` where they do not fit."""
    if len(left) != len(right) or any(a != b and 1 not in (a, b) for a, b in zip(left, right, strict=True)):
        raise ShapeError(
            f"`{opcode}` needs equal shapes, got {'x'.join(map(str, left[1:]))} and {'x'.join(map(str, right[1:]))}",
            "right",
        )
    return tuple(max(a, b) for a, b in zip(left, right, strict=True))


class Elementwise(Op):
    """left, right [N, …] of equal rank, sizes equal or 1  ->  [N, …]; result = activation(left op right)"""

    left = Operand()
    right = Operand()
    activation = activation_attribute()

    def infer(self) -> TensorType:
        shape = broadcast_shape(self.opcode, self.left.type.shape, self.right.type.shape)
        return self.left.type.with_shape(shape)


class Add(Elementwise):
    """Sum, the end of a residual branch (Sandler et al. 2018, fig. 4d)."""

    opcode = "add"


class Sub(Elementwise):
    """Difference left - right."""

    opcode = "sub"


class Mul(Elementwise):
    """Product, for instance of a map with squeeze-and-excite's channel gates (Hu et al. 2018, eq. 4)."""

    opcode = "mul"
