"""Unary functions of stored integers by tables, and clamp."""

from __future__ import annotations

import numpy as np

from mnetdsl.backends.iree.integers import scaled
from mnetdsl.backends.iree.quantized.levels import saturated, steps
from mnetdsl.backends.iree.quantized.lookup import looked_up, table_of, wide_lookup
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, element_type, elementwise, shape_of, whole
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.unary import Clamp, UnaryOp
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.clamps import activation_range, clamp_range
from mnetdsl.numerics.requantization import quantize_multiplier
from mnetdsl.numerics.scales import ratio_single
from mnetdsl.numerics.tables import unary_table
from mnetdsl.numerics.wide_tables import FUNCTIONS, wide_table


def emit_unary(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, UnaryOp)
    source, result = grid(op.input.type), grid(op.type)
    value = scope.value(op.input)
    if op.input.type.element is not ElementType.I16:
        table: np.ndarray = unary_table(op.opcode, source, result)
        return looked_up(value, table_of(scope, f"{op.name}.table", table))
    if op.opcode in FUNCTIONS:
        return wide_lookup(value, table_of(scope, f"{op.name}.table", wide_table(FUNCTIONS[op.opcode], source, result)))
    return _clamped(scope, op, activation_range(result, op.opcode))


def emit_clamp(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Clamp)
    return _clamped(scope, op, clamp_range(grid(op.type), op.low, op.high))


def _clamped(scope: Scope, op: UnaryOp | Clamp, bounds: tuple[int, int]) -> MlirValue:
    source, result = grid(op.input.type), grid(op.type)
    factor = quantize_multiplier(ratio_single(source, result))
    value = scope.value(op.input)

    def body(q: MlirValue) -> MlirValue:
        found = scaled(scope.integers, steps(q, op.input.type.element, source.zero_point), factor)
        return saturated(found, result.zero_point, bounds, op.type.element)

    return elementwise(shape_of(value), [whole(value)], body, element_type(op.type.element))
