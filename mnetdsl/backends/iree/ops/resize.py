"""resize: pixels read at positions that tables hold, one set of tables an axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, linalg, tensor

from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import Indexed, MlirType, MlirValue, elementwise, scalar, shape_of
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.numerics.resize import FRACTION_BITS, Positions, float_positions, nearest_positions

Corner = tuple[MlirValue, MlirValue, MlirValue]
"""A pixel's channel, and the weights of its row and of its column."""


def emit_resize(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Resize)
    if op.method == "nearest":
        return nearest(scope, op)

    def body(corners: list[Corner]) -> MlirValue:
        total = None
        for pixel, row, column in corners:
            product = arith.mulf(arith.mulf(pixel, row), column)
            total = product if total is None else arith.addf(total, product)
        return total

    return bilinear(scope, op, body, float_positions, scalar(1.0).type)


def nearest(scope: Scope, op: Resize) -> MlirValue:
    """Of any elements."""
    source = scope.value(op.input)
    tables = []
    for axis in (0, 1):
        positions = nearest_positions(
            op.input.type.shape[1 + axis],
            op.size[axis],
            align_corners=op.align_corners,
            half_pixel_centers=op.half_pixel_centers,
        )
        table = scope.made(f"{op.name}.positions.{axis}", positions.astype(np.int32))
        tables.append(Indexed(table, (1 + axis,)))
    return elementwise(op.type.shape, tables, lambda row, column: _pixel(source, row, column), source.type.element_type)


def bilinear(
    scope: Scope,
    op: Resize,
    body: Callable[[list[Corner]], MlirValue],
    find: Callable[..., Positions],
    weight: MlirType,
) -> MlirValue:
    """`body` gets the four corners in the reference's order; `find` gives positions with weights of type `weight`."""
    source = scope.value(op.input)
    kind = np.dtype("float32" if find is float_positions else f"int{weight.width}")
    one = np.float32(1) if find is float_positions else np.int64(1 << FRACTION_BITS)
    tables = []
    for axis in (0, 1):
        found = find(
            op.input.type.shape[1 + axis],
            op.size[axis],
            align_corners=op.align_corners,
            half_pixel_centers=op.half_pixel_centers,
        )
        parts = {
            "lower": found.lower.astype(np.int32),
            "upper": found.upper.astype(np.int32),
            "rest": (one - found.weight).astype(kind),
            "weight": found.weight.astype(kind),
        }
        for name, values in parts.items():
            tables.append(Indexed(scope.made(f"{op.name}.{name}.{axis}", values), (1 + axis,)))

    def combined(*numbers: MlirValue) -> MlirValue:
        top, bottom, up, down, left, right, back, across = numbers
        places = (
            (top, up, left, back),
            (bottom, down, left, back),
            (top, up, right, across),
            (bottom, down, right, across),
        )
        return body([(_pixel(source, row, column), first, second) for row, first, column, second in places])

    return elementwise(op.type.shape, tables, combined, source.type.element_type)


def _pixel(source: MlirValue, row: MlirValue, column: MlirValue) -> MlirValue:
    """The channel at hand of a pixel of the image at hand."""
    index = mlir.IndexType.get()
    place = [linalg.IndexOp(0).result, arith.index_cast(index, row), arith.index_cast(index, column)]
    return tensor.ExtractOp(source, [*place, linalg.IndexOp(len(shape_of(source)) - 1).result]).result
