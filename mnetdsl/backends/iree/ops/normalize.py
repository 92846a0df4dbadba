"""Preprocessing of an image: integers to float32, then (x - mean) / std with one rounding each."""

from __future__ import annotations

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith

from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, dense, elementwise, per_channel, shape_of, whole
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.ir.types import ElementType


def emit_normalize(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Normalize)
    source = scope.value(op.input)
    shape = shape_of(source)
    mean, std = (dense(np.broadcast_to(np.array(values, np.float32), (shape[-1],))) for values in (op.mean, op.std))
    element = op.input.type.element

    def body(x: MlirValue, mean: MlirValue, std: MlirValue) -> MlirValue:
        return arith.divf(arith.subf(_to_float(x, element), mean), std)

    rank = len(shape)
    return elementwise(shape, [whole(source), per_channel(mean, rank), per_channel(std, rank)], body)


def _to_float(x: MlirValue, element: ElementType) -> MlirValue:
    """u8 arrives as signless i8 (`tensors.element_type`)."""
    if element.is_float:
        return x
    convert = arith.uitofp if element is ElementType.U8 else arith.sitofp
    return convert(mlir.F32Type.get(), x)
