"""Multiply-accumulates of each operation, batch of one.

Counted as the papers do (Howard et al. 2017, section 3.1): one per filter tap, input channel and output element of
convolutions and dense layers, border pixels included, biases not. Operations that a backend folds away, or that
only add, compare or look up, count none.
"""

from __future__ import annotations

from collections.abc import Callable

from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.matmul import Matmul


def _conv2d(op: Op) -> int:
    assert isinstance(op, Conv2d)
    height, width, channels, _ = op.filter.type.shape
    return op.type.elements * height * width * channels


def _depthwise_conv2d(op: Op) -> int:
    assert isinstance(op, DepthwiseConv2d)
    height, width, _, _ = op.filter.type.shape
    return op.type.elements * height * width


def _dense(op: Op) -> int:
    assert isinstance(op, Dense)
    return op.filter.type.elements


def _matmul(op: Op) -> int:
    assert isinstance(op, Matmul)
    return op.type.elements * op.left.type.shape[2]


def _none(op: Op) -> int:
    return 0


RULES: dict[str, Callable[[Op], int]] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "dense": _dense,
    "matmul": _matmul,
    **dict.fromkeys(
        (
            "constant",
            "normalize",
            "batch_norm",
            "layer_norm",
            "add",
            "sub",
            "mul",
            "clamp",
            *UNARY_FUNCTIONS,
            "softmax",
            "avg_pool",
            "max_pool",
            "global_avg_pool",
            "pad",
            "concat",
            "reshape",
            "transpose",
            "slice",
            "resize",
            "argmax",
            "quantize",
            "dequantize",
            "requantize",
            "lookup",
        ),
        _none,
    ),
}
"""Opcode -> rule; every operation of the table in `ir.ops` has one."""


def multiply_accumulates(op: Op) -> int:
    """Multiply-accumulates of `op` for one image."""
    return RULES[op.opcode](op)
