"""The table of all operations. A module's name here is its name in interpreter, backends and tests."""

from __future__ import annotations

from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.argmax import Argmax
from mnetdsl.ir.ops.batch_norm import BatchNorm
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Add, Mul, Sub
from mnetdsl.ir.ops.layer_norm import LayerNorm
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.ops.matmul import Matmul
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.ir.ops.pool import AvgPool, GlobalAvgPool, MaxPool
from mnetdsl.ir.ops.quantize import Dequantize, Quantize, Requantize
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.ir.ops.unary import Clamp, Gelu, HardSigmoid, HardSwish, Relu, Relu6, Sigmoid, Silu, Tanh

FLOAT_OPERATIONS: dict[str, type[Op]] = {
    kind.opcode: kind
    for kind in (
        Constant,
        Normalize,
        Conv2d,
        DepthwiseConv2d,
        Dense,
        Matmul,
        BatchNorm,
        LayerNorm,
        Add,
        Sub,
        Mul,
        Clamp,
        Relu,
        Relu6,
        HardSigmoid,
        HardSwish,
        Sigmoid,
        Silu,
        Gelu,
        Tanh,
        Softmax,
        AvgPool,
        MaxPool,
        GlobalAvgPool,
        Pad,
        Concat,
        Reshape,
        Transpose,
        Slice,
        Resize,
        Argmax,
    )
}
"""What the language can say. All but `normalize`, `batch_norm` and `layer_norm` also exist on quantized tensors."""

QUANTIZED_OPERATIONS: dict[str, type[Op]] = {kind.opcode: kind for kind in (Quantize, Dequantize, Requantize, Lookup)}
"""What quantization adds (docs/decisions/0007-quantized-graphs.md)."""

OPERATIONS: dict[str, type[Op]] = FLOAT_OPERATIONS | QUANTIZED_OPERATIONS
