"""Pooling over height and width."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Ints, Operand
from mnetdsl.ir.ops.window import window_shape
from mnetdsl.ir.types import TensorType


class Pool(Op):
    """input [N, H, W, C]  ->  [N, OH, OW, C]; each window holds a pixel of the map"""

    input = Operand(rank=4)
    kernel = Ints(2, minimum=1)
    strides = Ints(2, default=(1, 1), minimum=1)
    padding = Ints(4, default=(0, 0, 0, 0), minimum=0)

    def infer(self) -> TensorType:
        batch, height, width, channels = self.input.type.shape
        if max(self.padding[:2]) >= self.kernel[0] or max(self.padding[2:]) >= self.kernel[1]:
            raise ShapeError(
                f"`{self.opcode}` pads {list(self.padding)} around a {self.kernel[0]}x{self.kernel[1]} window: "
                f"a window of padding only has no value",
                "padding",
            )
        rows, columns = window_shape(self.opcode, (height, width), self.kernel, self.strides, (1, 1), self.padding)
        return self.input.type.with_shape((batch, rows, columns, channels))


class AvgPool(Pool):
    """Mean over the window's pixels that lie inside the map: padding is not counted (as TensorFlow Lite does)."""

    opcode = "avg_pool"


class MaxPool(Pool):
    """Largest of the window's pixels that lie inside the map."""

    opcode = "max_pool"


class GlobalAvgPool(Op):
    """Mean over height and width.  input [N, H, W, C]  ->  [N, C]"""

    opcode = "global_avg_pool"
    input = Operand(rank=4)

    def infer(self) -> TensorType:
        batch, _, _, channels = self.input.type.shape
        return self.input.type.with_shape((batch, channels))
