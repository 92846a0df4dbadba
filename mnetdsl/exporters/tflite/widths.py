"""Layers between tensors of 8 and of 16 bits: TensorFlow Lite's operators read and write one of them.

An 8-bit tensor is one of 16 bits on the same scale, less its zero point, exactly. A 16-bit result on the scale of an
8-bit one, without zero point, is that one once the zero point is added and the ends are cut.
"""

from __future__ import annotations

from dataclasses import dataclass

from mnetdsl.exporters.problems import NotInFormatError
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType, Quantization, TensorType

WEIGHTED = ("conv2d", "depthwise_conv2d", "dense")
WIDENED = (*WEIGHTED, "mul", "global_avg_pool")
"""Operations whose arithmetic is the same on 8-bit numbers that are held in 16."""
NARROWED = (*WIDENED, "add", "sub", "relu", "relu6")
"""Operations whose 16-bit result may be cut to 8 bits afterwards."""
ONE_WIDTH = "store its operands and its result in 16 bits, or all of them in 8"


@dataclass(frozen=True)
class Widths:
    """How an operation is written: `wide` with 8-bit operands in 16 bits, giving `result`."""

    wide: bool
    result: TensorType


def widths(op: Op) -> Widths:
    """Raises `NotInFormatError` where the operators of the format would round otherwise."""
    sources = [value.type for value in _activations(op)]
    eight = [type for type in sources if type.element.byte_width == 1]
    sixteen = [type for type in sources if type.element is ElementType.I16]
    result = op.type
    to_sixteen = result.element is ElementType.I16
    if op.opcode not in NARROWED or result.quantization is None or not (eight or sixteen):
        return Widths(False, result)
    wide = bool(eight) and (to_sixteen or bool(sixteen)) and op.opcode not in ("relu", "relu6")
    unsigned = op.opcode in WEIGHTED and any(type.element is ElementType.U8 for type in eight)
    if wide and (op.opcode not in WIDENED or unsigned):
        raise NotInFormatError("it reads or writes 8 and 16 bits, and rounds otherwise there", ONE_WIDTH)
    narrow = result.element.byte_width == 1 and bool(sixteen)
    return Widths(wide, widened(result) if narrow else result)


def widened(type: TensorType) -> TensorType:
    assert type.quantization is not None
    return TensorType(type.shape, ElementType.I16, Quantization.per_tensor(type.quantization.scale[0], 0))


def _activations(op: Op) -> list[Value]:
    if op.opcode in WEIGHTED:
        return list(op.operand_group("input"))
    return [value for value in op.operands if value.type.quantization is not None or not _is_constant(value)]


def _is_constant(value: Value) -> bool:
    return isinstance(value.producer, Constant)
