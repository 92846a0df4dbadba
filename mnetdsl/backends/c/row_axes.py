"""Which operations can run by rows, and which rows of their operands a row of the result reads."""

from __future__ import annotations

from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.pool import AvgPool, MaxPool
from mnetdsl.plan.sweep import Axis

Windowed = Conv2d | DepthwiseConv2d | AvgPool | MaxPool
ALONE = frozenset(
    (
        "normalize",
        "batch_norm",
        "layer_norm",
        "quantize",
        "dequantize",
        "requantize",
        "lookup",
        "clamp",
        "softmax",
        "add",
        "sub",
        "mul",
        *UNARY_FUNCTIONS,
    )
)
"""Operations whose row r reads row r of each map and nothing else of it."""


def row_axes(op: Op) -> dict[str, Axis] | None:
    """How rows of the result read rows of each named operand that is a map; None where `op` cannot run by rows."""
    if op.type.rank != 4:
        return None
    height = op.type.shape[1]
    same = Axis(height, height, 1)
    axes: dict[str, Axis] = {}
    if isinstance(op, Windowed):
        kernel = op.kernel[0] if isinstance(op, AvgPool | MaxPool) else op.filter.type.shape[0]
        dilation = 1 if isinstance(op, AvgPool | MaxPool) else op.dilations[0]
        axis = Axis(op.input.type.shape[1], height, kernel, op.strides[0], dilation, op.padding[0])
        first, last = axis.reach()
        if bool((last < first).any()):
            return None
        axes["input"] = axis
    elif op.opcode not in ALONE:
        return None
    for definition in op.operand_defs:
        for value in op.operand_group(definition.name):
            if definition.name in axes or _is_weight(op, definition.name):
                continue
            alike = value.type.rank == 4 and value.type.shape[1] == height
            if is_constant(value) or not alike:
                if value.type.rank == 4 and value.type.shape[1] != 1:
                    return None
                if value.type.rank < 4 and not is_constant(value):
                    return None
                continue
            axes[definition.name] = same
    return axes


def is_constant(value: Value) -> bool:
    return value.producer is not None and value.producer.opcode == "constant"


def read_whole(op: Op, axes: dict[str, Axis]) -> tuple[Value, ...]:
    """Operands that every row of the result reads all of: one number for each channel."""
    return tuple(
        value
        for definition in op.operand_defs
        if definition.name not in axes
        for value in op.operand_group(definition.name)
        if not is_constant(value)
    )


def _is_weight(op: Op, operand: str) -> bool:
    return isinstance(op, Conv2d | DepthwiseConv2d) and operand not in ("input", "residual")
