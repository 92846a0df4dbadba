"""The table of what operations compute on stored integers (docs/numerics.md), beside `EVALUATIONS`.

A module's name here is its name in `mnetdsl.ir.ops`.
"""

from __future__ import annotations

from mnetdsl.interpreter.ops import Evaluation
from mnetdsl.interpreter.ops.constant import constant
from mnetdsl.interpreter.ops.pool import max_pool
from mnetdsl.interpreter.ops.resize import resize
from mnetdsl.interpreter.ops.shape import reshape, slice_, transpose
from mnetdsl.interpreter.quantized.conv2d import conv2d
from mnetdsl.interpreter.quantized.dense import dense
from mnetdsl.interpreter.quantized.depthwise_conv2d import depthwise_conv2d
from mnetdsl.interpreter.quantized.elementwise import elementwise
from mnetdsl.interpreter.quantized.lookup import lookup
from mnetdsl.interpreter.quantized.pool import avg_pool, global_avg_pool
from mnetdsl.interpreter.quantized.quantize import dequantize, quantize, requantize
from mnetdsl.interpreter.quantized.shape import concat, pad
from mnetdsl.interpreter.quantized.softmax import softmax
from mnetdsl.interpreter.quantized.unary import clamp, unary

QUANTIZED: dict[str, Evaluation] = {
    "constant": constant,
    "quantize": quantize,
    "dequantize": dequantize,
    "requantize": requantize,
    "lookup": lookup,
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "dense": dense,
    "add": elementwise,
    "sub": elementwise,
    "mul": elementwise,
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
}
