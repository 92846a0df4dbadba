"""Operations that move stored integers and have to know what they stand for: pad, concat."""

from __future__ import annotations

from iree.compiler.dialects import tensor

from mnetdsl.backends.iree.quantized.lookup import looked_up, table_of
from mnetdsl.backends.iree.quantized.quantize import requantized
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue, padded, tensor_type
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.shape import Concat, Pad
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.clamps import stored_number
from mnetdsl.numerics.concat import joined
from mnetdsl.numerics.tables import all_stored


def emit_pad(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Pad)
    numbers = grid(op.type)
    border = min(max(stored_number(numbers, op.value), numbers.low), numbers.high)
    if op.type.element is ElementType.U8 and border > 127:
        border -= 256  # the same bits without a sign
    return padded(scope.value(op.input), op.padding, border)


def emit_concat(scope: Scope, op: Op) -> MlirValue:
    assert isinstance(op, Concat)
    operands = [_joined(scope, op, value, place) for place, value in enumerate(op.inputs)]
    return tensor.ConcatOp(tensor_type(op.type), op.axis, operands).result


def _joined(scope: Scope, op: Concat, value: Value, place: int) -> MlirValue:
    """An operand on the grid of the result; u8 by a table, since the reference converts it in float."""
    source, result = grid(value.type), grid(op.type)
    if source == result:
        return scope.value(value)
    if value.type.element is not ElementType.U8:
        return requantized(scope, scope.value(value), (source, value.type.element), (result, op.type.element))
    table = joined(all_stored(source.dtype), source, result)
    return looked_up(scope.value(value), table_of(scope, f"{op.name}.joined{place}", table))
