"""Operations that move elements: pad, concat, reshape, transpose, slice."""

from __future__ import annotations

from iree.compiler.dialects import tensor

from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import Indexed, MlirValue, boxed, elementwise, padded, reshaped, tensor_type
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose


def emit_pad(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Pad)
    return padded(scope.value(op.input), op.padding, op.value)


def emit_concat(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Concat)
    return tensor.ConcatOp(tensor_type(op.type), op.axis, [scope.value(value) for value in op.inputs]).result


def emit_reshape(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Reshape)
    return reshaped(scope.value(op.input), op.type.shape)


def emit_transpose(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Transpose)
    order = (0, *(axis + 1 for axis in op.order))
    loops = tuple(order.index(axis) for axis in range(len(order)))
    source = scope.value(op.input)
    return elementwise(op.type.shape, [Indexed(source, loops)], lambda x: x, source.type.element_type)


def emit_slice(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Slice)
    return boxed(scope.value(op.input), (0, *op.begin), op.type.shape)
