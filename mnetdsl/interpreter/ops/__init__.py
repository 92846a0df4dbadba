"""The table of what operations compute. A module's name here is its name in `mnetdsl.ir.ops`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.argmax import argmax
from mnetdsl.interpreter.ops.batch_norm import batch_norm
from mnetdsl.interpreter.ops.constant import constant
from mnetdsl.interpreter.ops.conv2d import conv2d
from mnetdsl.interpreter.ops.dense import dense
from mnetdsl.interpreter.ops.depthwise_conv2d import depthwise_conv2d
from mnetdsl.interpreter.ops.elementwise import add, mul, sub
from mnetdsl.interpreter.ops.layer_norm import layer_norm
from mnetdsl.interpreter.ops.matmul import matmul
from mnetdsl.interpreter.ops.normalize import normalize
from mnetdsl.interpreter.ops.pool import avg_pool, global_avg_pool, max_pool
from mnetdsl.interpreter.ops.resize import resize
from mnetdsl.interpreter.ops.shape import concat, pad, reshape, slice_, transpose
from mnetdsl.interpreter.ops.softmax import softmax
from mnetdsl.interpreter.ops.unary import clamp, unary

Evaluation = Callable[[Any, Frame], Array]
"""Takes an operation of the class that the opcode names (hence Any) and gives the array of its result."""

EVALUATIONS: dict[str, Evaluation] = {
    "constant": constant,
    "normalize": normalize,
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "dense": dense,
    "matmul": matmul,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "add": add,
    "sub": sub,
    "mul": mul,
    "clamp": clamp,
    "relu": unary,
    "relu6": unary,
    "hard_sigmoid": unary,
    "hard_swish": unary,
    "sigmoid": unary,
    "silu": unary,
    "gelu": unary,
    "tanh": unary,
    "softmax": softmax,
    "avg_pool": avg_pool,
    "max_pool": max_pool,
    "global_avg_pool": global_avg_pool,
    "pad": pad,
    "concat": concat,
    "reshape": reshape,
    "transpose": transpose,
    "slice": slice_,
    "resize": resize,
    "argmax": argmax,
}
