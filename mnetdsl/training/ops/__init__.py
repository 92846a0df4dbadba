"""What each operation computes in PyTorch: a second definition, independent of the interpreter's.

Every function takes the operation and its operands by their declared names. Maps are [N, H, W, C] tensors.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mnetdsl.training.ops import unary
from mnetdsl.training.ops.argmax import argmax
from mnetdsl.training.ops.batch_norm import batch_norm
from mnetdsl.training.ops.conv2d import conv2d
from mnetdsl.training.ops.dense import dense
from mnetdsl.training.ops.depthwise_conv2d import depthwise_conv2d
from mnetdsl.training.ops.elementwise import add, mul, sub
from mnetdsl.training.ops.layer_norm import layer_norm
from mnetdsl.training.ops.matmul import matmul
from mnetdsl.training.ops.normalize import normalize
from mnetdsl.training.ops.pool import avg_pool, global_avg_pool, max_pool
from mnetdsl.training.ops.resize import resize
from mnetdsl.training.ops.shape import concat, pad, reshape, slice_, transpose
from mnetdsl.training.ops.softmax import softmax

EVALUATE: dict[str, Callable[..., Tensor]] = {
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
    "clamp": unary.clamp,
    **dict.fromkeys(unary.FUNCTIONS, unary.evaluate),
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
"""Opcode -> function, for all operations but constants."""

DEPENDS_ON_MODE = frozenset({"batch_norm"})
"""Operations that also take `training` and `momentum`."""
