"""A named array of the module."""

from __future__ import annotations

from mnetdsl.ir.core import Op
from mnetdsl.ir.declare import Ints, String
from mnetdsl.ir.types import ElementType, TensorType


class Constant(Op):
    """The array `resources[resource]` of the module.  -> [shape]"""

    opcode = "constant"
    resource = String()
    shape = Ints(minimum=1)
    element = String(default="f32", choices=tuple(element.value for element in ElementType))

    def infer(self) -> TensorType:
        return TensorType(self.shape, ElementType(self.element))
