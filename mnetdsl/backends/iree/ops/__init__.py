"""How each operation becomes linalg, by opcode: the portable emitter, right on every target."""

from __future__ import annotations

from mnetdsl.backends.iree.ops.argmax import emit_argmax
from mnetdsl.backends.iree.ops.batch_norm import emit_batch_norm
from mnetdsl.backends.iree.ops.constant import emit_constant
from mnetdsl.backends.iree.ops.conv2d import emit_conv2d
from mnetdsl.backends.iree.ops.dense import emit_dense
from mnetdsl.backends.iree.ops.depthwise_conv2d import emit_depthwise_conv2d
from mnetdsl.backends.iree.ops.elementwise import emit_add, emit_mul, emit_sub
from mnetdsl.backends.iree.ops.layer_norm import emit_layer_norm
from mnetdsl.backends.iree.ops.matmul import emit_matmul
from mnetdsl.backends.iree.ops.normalize import emit_normalize
from mnetdsl.backends.iree.ops.pool import emit_avg_pool, emit_global_avg_pool, emit_max_pool
from mnetdsl.backends.iree.ops.resize import emit_resize
from mnetdsl.backends.iree.ops.shape import emit_concat, emit_pad, emit_reshape, emit_slice, emit_transpose
from mnetdsl.backends.iree.ops.softmax import emit_softmax
from mnetdsl.backends.iree.ops.unary import emit_clamp, emit_unary
from mnetdsl.backends.iree.scope import LayerEmitter

EMITTERS: dict[str, LayerEmitter] = {
    "constant": emit_constant,
    "normalize": emit_normalize,
    "conv2d": emit_conv2d,
    "depthwise_conv2d": emit_depthwise_conv2d,
    "dense": emit_dense,
    "matmul": emit_matmul,
    "batch_norm": emit_batch_norm,
    "layer_norm": emit_layer_norm,
    "add": emit_add,
    "sub": emit_sub,
    "mul": emit_mul,
    "clamp": emit_clamp,
    "relu": emit_unary,
    "relu6": emit_unary,
    "hard_sigmoid": emit_unary,
    "hard_swish": emit_unary,
    "sigmoid": emit_unary,
    "silu": emit_unary,
    "gelu": emit_unary,
    "tanh": emit_unary,
    "softmax": emit_softmax,
    "avg_pool": emit_avg_pool,
    "max_pool": emit_max_pool,
    "global_avg_pool": emit_global_avg_pool,
    "pad": emit_pad,
    "concat": emit_concat,
    "reshape": emit_reshape,
    "transpose": emit_transpose,
    "slice": emit_slice,
    "resize": emit_resize,
    "argmax": emit_argmax,
}
