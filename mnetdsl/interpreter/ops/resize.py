"""Maps in another size, of real and of stored numbers."""

from __future__ import annotations

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.numerics.resize import resize_bilinear, resize_nearest


def resize(op: Resize, frame: Frame) -> Array:
    compute = resize_bilinear if op.method == "bilinear" else resize_nearest
    height, width = op.size
    result: Array = compute(
        frame[op.input],
        (height, width),
        align_corners=op.align_corners,
        half_pixel_centers=op.half_pixel_centers,
    )
    return result
