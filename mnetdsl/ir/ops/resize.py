"""Maps in another size."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Bool, Ints, Operand, String
from mnetdsl.ir.types import TensorType


class Resize(Op):
    """The map in `size`: position i of an axis reads the position i * before / after of the input.

    With `align_corners` the first and the last pixels of both fall on each other; with `half_pixel_centers` the middle
    of pixel i is i + 0.5, as in PyTorch and TensorFlow 2. `bilinear` weights the four pixels around a position,
    `nearest` copies one, that at the rounded position with `align_corners`, else that at the position rounded down
    (TensorFlow Lite: reference/resize_bilinear.h, reference/resize_nearest_neighbor.h).

    input [N, H, W, C], size [height, width]  ->  [N, *size, C]
    """

    opcode = "resize"
    input = Operand(rank=4)
    size = Ints(2, minimum=1)
    method = String(default="bilinear", choices=("bilinear", "nearest"))
    align_corners = Bool(default=False)
    half_pixel_centers = Bool(default=False)

    def infer(self) -> TensorType:
        if self.align_corners and self.half_pixel_centers and self.method == "bilinear":
            raise ShapeError("`resize` takes `align_corners` or `half_pixel_centers`, not both", "half_pixel_centers")
        batch, _, _, channels = self.input.type.shape
        return self.input.type.with_shape((batch, *self.size, channels))
