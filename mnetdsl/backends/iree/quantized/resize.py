"""resize of stored integers, with the interpreter's roundings; the grid stays."""

from __future__ import annotations

import numpy as np
from iree.compiler.dialects import arith, math

from mnetdsl.backends.iree.integers import i32, i64
from mnetdsl.backends.iree.ops.resize import Corner, bilinear, nearest
from mnetdsl.backends.iree.quantized.layer import require_wide
from mnetdsl.backends.iree.quantized.levels import widened
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, element_type, number, scalar
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.resize import FRACTION_BITS, fixed_positions, float_positions

_SHIFT = 2 * FRACTION_BITS
_LOWEST = float(np.finfo(np.float32).min)


def emit_resize(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Resize)
    element = op.type.element
    if op.method == "nearest":
        return nearest(scope, op)
    if element is ElementType.U8:
        return bilinear(scope, op, _in_float, float_positions, scalar(1.0).type)
    require_wide(scope, op)
    type = i64() if element is ElementType.I16 else i32()

    def body(corners: list[Corner]) -> MlirValue:
        total = number(0, type)
        for pixel, row, column in corners:
            wide = arith.extsi(type, pixel)
            total = arith.addi(total, arith.muli(arith.muli(wide, row), column))
        # Halves go away from zero: (|total| + half) >> bits, with the sign of the total.
        sign = arith.shrsi(total, number(type.width - 1, type))
        size = arith.subi(arith.xori(total, sign), sign)
        rounded = arith.shrsi(arith.addi(size, number(1 << (_SHIFT - 1), type)), number(_SHIFT, type))
        return arith.trunci(element_type(element), arith.subi(arith.xori(rounded, sign), sign))

    return bilinear(scope, op, body, fixed_positions, type)


def mixed(corners: list[Corner]) -> MlirValue:
    """Corners whose pixels are i32 scalars, as one of them. Each product is rounded before it is added: the maximum,
    which changes nothing, keeps compilers from making one instruction of both."""
    total = None
    for pixel, row, column in corners:
        value = arith.uitofp(scalar(0.0).type, pixel)
        product = arith.maximumf(arith.mulf(arith.mulf(value, row), column), scalar(_LOWEST))
        total = product if total is None else arith.addf(total, product)
    return arith.fptosi(i32(), math.floor(arith.addf(total, scalar(0.5))))


def _in_float(corners: list[Corner]) -> MlirValue:
    wide = [(widened(pixel, ElementType.U8), row, column) for pixel, row, column in corners]
    return arith.trunci(element_type(ElementType.U8), mixed(wide))
