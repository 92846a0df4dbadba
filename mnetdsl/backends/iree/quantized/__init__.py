"""How each operation on stored integers becomes linalg, by opcode, beside `ops.EMITTERS`: the interpreter's bits.

A module's name here is its name in `ir.ops`.
"""

from __future__ import annotations

from mnetdsl.backends.iree.ops.constant import emit_constant
from mnetdsl.backends.iree.ops.shape import emit_reshape, emit_slice, emit_transpose
from mnetdsl.backends.iree.quantized.conv2d import emit_conv2d
from mnetdsl.backends.iree.quantized.dense import emit_dense
from mnetdsl.backends.iree.quantized.depthwise_conv2d import emit_depthwise_conv2d
from mnetdsl.backends.iree.quantized.elementwise import emit_add, emit_mul, emit_sub
from mnetdsl.backends.iree.quantized.lookup import emit_lookup
from mnetdsl.backends.iree.quantized.pool import emit_avg_pool, emit_global_avg_pool, emit_max_pool
from mnetdsl.backends.iree.quantized.quantize import emit_dequantize, emit_quantize, emit_requantize
from mnetdsl.backends.iree.quantized.resize import emit_resize
from mnetdsl.backends.iree.quantized.shape import emit_concat, emit_pad
from mnetdsl.backends.iree.quantized.simt import emit_filter, emit_real, emit_stored
from mnetdsl.backends.iree.quantized.softmax import emit_softmax
from mnetdsl.backends.iree.quantized.unary import emit_clamp, emit_unary
from mnetdsl.backends.iree.scope import LayerEmitter

QUANTIZED_EMITTERS: dict[str, LayerEmitter] = {
    "constant": emit_constant,
    "quantize": emit_quantize,
    "dequantize": emit_dequantize,
    "requantize": emit_requantize,
    "lookup": emit_lookup,
    "conv2d": emit_conv2d,
    "depthwise_conv2d": emit_depthwise_conv2d,
    "dense": emit_dense,
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
}

SIMT_EMITTERS: dict[str, LayerEmitter] = {
    **QUANTIZED_EMITTERS,
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "dense"), emit_filter),
    "quantize": emit_stored,
    "dequantize": emit_real,
}
"""The same for targets of scalar invocations."""
