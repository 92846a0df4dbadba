"""The table of rules for quantized tensors. A rule's module has the name of the operation's in `ir.ops`."""

from __future__ import annotations

from typing import Any

from mnetdsl.backends.c.choice import Rule
from mnetdsl.backends.c.ops.shape import SLICE_RULE, TRANSPOSE_RULE
from mnetdsl.backends.c.quantized import (
    conv2d,
    dense,
    depthwise_conv2d,
    elementwise,
    lookup,
    pool,
    quantize,
    resize,
    shape,
    softmax,
    unary,
)
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS

QUANTIZED_RULES: dict[str, Rule[Any]] = {
    "conv2d": conv2d.RULE,
    "depthwise_conv2d": depthwise_conv2d.RULE,
    "dense": dense.RULE,
    "add": elementwise.RULE,
    "sub": elementwise.RULE,
    "mul": elementwise.RULE,
    "softmax": softmax.RULE,
    "avg_pool": pool.WINDOW_RULE,
    "max_pool": pool.WINDOW_RULE,
    "global_avg_pool": pool.GLOBAL_RULE,
    "pad": shape.PAD_RULE,
    "concat": shape.CONCAT_RULE,
    "resize": resize.RULE,
    "transpose": TRANSPOSE_RULE,
    "slice": SLICE_RULE,
    "clamp": unary.CLAMP_RULE,
    **dict.fromkeys(UNARY_FUNCTIONS, unary.RULE),
    "lookup": lookup.RULE,
    "quantize": quantize.QUANTIZE_RULE,
    "dequantize": quantize.DEQUANTIZE_RULE,
    "requantize": quantize.REQUANTIZE_RULE,
}
"""Beside `ops.RULES`: an operation with a quantized result, and every conversion, is lowered by its rule here."""
