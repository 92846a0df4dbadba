"""Conversions between real and stored numbers."""

from __future__ import annotations

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, math

from mnetdsl.backends.iree.integers import i32, scaled
from mnetdsl.backends.iree.quantized.levels import saturated, steps
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, element_type, elementwise, scalar, shape_of, whole
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.quantize import Dequantize, Quantize, Requantize
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.requantization import quantize_multiplier

FARTHEST = float(1 << 20)
"""Steps beyond which every grid is saturated."""


def emit_quantize(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Quantize)
    source, result = scope.value(op.input), grid(op.type)

    def body(x: MlirValue) -> MlirValue:
        found = arith.fptosi(i32(), _rounded(arith.divf(x, scalar(result.scale))))
        return saturated(found, result.zero_point, (result.low, result.high), op.type.element)

    return elementwise(shape_of(source), [whole(source)], body, element_type(op.type.element))


def _rounded(x: MlirValue) -> MlirValue:
    """The nearest whole number, a half away from zero, within `FARTHEST`; 0 for NaN. Each step is exact."""
    known = arith.cmpf(arith.CmpFPredicate.ORD, x, x)
    within = arith.minimumf(arith.maximumf(arith.select(known, x, scalar(0.0)), scalar(-FARTHEST)), scalar(FARTHEST))
    magnitude = math.absf(within)
    whole_part = math.floor(magnitude)
    up = arith.cmpf(arith.CmpFPredicate.OGE, arith.subf(magnitude, whole_part), scalar(0.5))
    rounded = arith.select(up, arith.addf(whole_part, scalar(1.0)), whole_part)
    negative = arith.cmpf(arith.CmpFPredicate.OLT, within, scalar(0.0))
    return arith.select(negative, arith.negf(rounded), rounded)


def emit_dequantize(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Dequantize)
    value, source = scope.value(op.input), grid(op.input.type)

    def body(q: MlirValue) -> MlirValue:
        real = arith.sitofp(mlir.F32Type.get(), steps(q, op.input.type.element, source.zero_point))
        return arith.mulf(real, scalar(source.scale))

    return elementwise(shape_of(value), [whole(value)], body)


def emit_requantize(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Requantize)
    source = grid(op.input.type)
    return requantized(scope, scope.value(op.input), (source, op.input.type.element), (grid(op.type), op.type.element))


def requantized(
    scope: Scope, value: MlirValue, source: tuple[Grid, ElementType], result: tuple[Grid, ElementType]
) -> MlirValue:
    """Stored numbers on another grid; grids with the elements they are stored as."""
    (before, stored), (after, element) = source, result
    factor = quantize_multiplier(before.scale / after.scale)

    def body(q: MlirValue) -> MlirValue:
        found = scaled(scope.integers, steps(q, stored, before.zero_point), factor)
        return saturated(found, after.zero_point, (after.low, after.high), element)

    return elementwise(shape_of(value), [whole(value)], body, element_type(element))
