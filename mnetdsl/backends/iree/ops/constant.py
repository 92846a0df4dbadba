"""Constants: a resource of the MLIR module."""

from __future__ import annotations

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, tensor_type
from mnetdsl.ir.core import Op


def emit_constant(scope: Scope, op: Op) -> MlirValue:
    return arith.constant(tensor_type(op.type), scope.resource(str(op.attributes["resource"]), op.result))
