"""The table of rules: how each operation becomes C. A rule's module has the name of the operation's."""

from __future__ import annotations

from typing import Any

from mnetdsl.backends.c.choice import Rule
from mnetdsl.backends.c.ops import (
    argmax,
    batch_norm,
    conv2d,
    dense,
    depthwise_conv2d,
    elementwise,
    layer_norm,
    matmul,
    normalize,
    pool,
    resize,
    shape,
    softmax,
    unary,
)

RULES: dict[str, Rule[Any]] = {
    "normalize": normalize.RULE,
    "conv2d": conv2d.RULE,
    "depthwise_conv2d": depthwise_conv2d.RULE,
    "dense": dense.RULE,
    "matmul": matmul.RULE,
    "batch_norm": batch_norm.RULE,
    "layer_norm": layer_norm.RULE,
    "add": elementwise.RULE,
    "sub": elementwise.RULE,
    "mul": elementwise.RULE,
    "clamp": unary.CLAMP_RULE,
    "relu": unary.RULE,
    "relu6": unary.RULE,
    "hard_sigmoid": unary.RULE,
    "hard_swish": unary.RULE,
    "sigmoid": unary.RULE,
    "silu": unary.RULE,
    "gelu": unary.RULE,
    "tanh": unary.RULE,
    "softmax": softmax.RULE,
    "avg_pool": pool.WINDOW_RULE,
    "max_pool": pool.WINDOW_RULE,
    "global_avg_pool": pool.GLOBAL_RULE,
    "pad": shape.PAD_RULE,
    "concat": shape.CONCAT_RULE,
    "transpose": shape.TRANSPOSE_RULE,
    "slice": shape.SLICE_RULE,
    "resize": resize.RULE,
    "argmax": argmax.RULE,
}
"""`constant` and `reshape` need no code: the one is a table, the other another view of the same bytes."""
