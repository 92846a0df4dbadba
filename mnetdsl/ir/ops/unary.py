"""Unary element by element operations, and clamp."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Float, Operand
from mnetdsl.ir.types import TensorType


class UnaryOp(Op):
    """input [N, …]  ->  [N, …]"""

    input = Operand()

    def infer(self) -> TensorType:
        return self.input.type


class Relu(UnaryOp):
    """max(x, 0)"""

    opcode = "relu"


class Relu6(UnaryOp):
    """min(max(x, 0), 6) (Howard et al. 2017)"""

    opcode = "relu6"


class HardSigmoid(UnaryOp):
    """relu6(x + 3) / 6 (Howard et al. 2019, section 5.2)"""

    opcode = "hard_sigmoid"


class HardSwish(UnaryOp):
    """x * relu6(x + 3) / 6 (Howard et al. 2019, eq. 2)"""

    opcode = "hard_swish"


class Sigmoid(UnaryOp):
    """1 / (1 + exp(-x))"""

    opcode = "sigmoid"


class Silu(UnaryOp):
    """x * sigmoid(x)"""

    opcode = "silu"


class Gelu(UnaryOp):
    """x * (1 + erf(x / sqrt(2))) / 2 (Hendrycks and Gimpel 2016), the exact form"""

    opcode = "gelu"


class Tanh(UnaryOp):
    """Hyperbolic tangent"""

    opcode = "tanh"


class Clamp(UnaryOp):
    """min(max(x, low), high)"""

    opcode = "clamp"
    low = Float()
    high = Float()

    def infer(self) -> TensorType:
        if not self.low <= self.high:
            raise ShapeError(f"`clamp` needs low <= high, got {self.low} and {self.high}", "low")
        return self.input.type
