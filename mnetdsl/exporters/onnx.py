"""A float module as ONNX, so that other engines run the very network that ours is timed on.

The graph is NCHW inside, as the kernels of most engines are, and NHWC outside, as ours is, unless the caller wants its
inputs channels first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.ops.batch_norm import BatchNorm
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.matmul import Matmul
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.ir.ops.pool import GlobalAvgPool
from mnetdsl.ir.ops.shape import Reshape
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.ir.ops.unary import UnaryOp
from mnetdsl.ir.types import ElementType

OPSET = 20
ACTIVATIONS = {"relu": "Relu", "hard_swish": "HardSwish", "sigmoid": "Sigmoid", "gelu": "Gelu", "tanh": "Tanh"}
"""Those that ONNX has as one operator without attributes."""
ELEMENTS = {ElementType.F32: TensorProto.FLOAT, ElementType.U8: TensorProto.UINT8, ElementType.I8: TensorProto.INT8}


class Writer:
    """The ONNX graph under construction; `names` maps our values to its tensors."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.names: dict[Value, str] = {}
        self.arrays: dict[Value, NDArray[Any]] = {}

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        result = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [result], **attributes))
        return result

    def array(self, values: NDArray[Any]) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def activated(self, name: str, tensor: str) -> str:
        match name:
            case "none":
                return tensor
            case "relu6":
                low, high = (self.array(np.array(bound, np.float32)) for bound in (0, 6))
                return self.node("Clip", tensor, low, high)
            case "hard_sigmoid":
                return self.node("HardSigmoid", tensor, alpha=1 / 6, beta=0.5)
            case "silu":
                return self.node("Mul", tensor, self.node("Sigmoid", tensor))
            case _:
                return self.node(ACTIVATIONS[name], tensor)

    def operand(self, value: Value) -> str:
        """The tensor of `value`, which may be a constant of rank 4 or less."""
        if value in self.arrays:
            array = self.arrays[value]
            return self.array(array.transpose(0, 3, 1, 2) if array.ndim == 4 else array)
        return self.names[value]


def normalize(op: Normalize, writer: Writer) -> str:
    x = writer.node("Cast", writer.names[op.input], to=TensorProto.FLOAT)
    x = writer.node("Sub", x, writer.array(np.array(op.mean, np.float32)))
    x = writer.node("Div", x, writer.array(np.array(op.std, np.float32)))
    return writer.node("Transpose", x, perm=[0, 3, 1, 2])


def convolution(op: Conv2d | DepthwiseConv2d, writer: Writer) -> str:
    weights = writer.arrays[op.filter]
    if isinstance(op, Conv2d):
        filters, groups = weights.transpose(3, 2, 0, 1), 1
    else:
        height, width, channels, multiplier = weights.shape
        filters = weights.reshape(height, width, 1, channels * multiplier).transpose(3, 2, 0, 1)
        groups = channels
    inputs = [writer.names[op.input], writer.array(filters)]
    if op.bias is not None:
        inputs.append(writer.array(writer.arrays[op.bias]))
    top, bottom, left, right = op.padding
    x = writer.node(
        "Conv",
        *inputs,
        group=groups,
        strides=list(op.strides),
        dilations=list(op.dilations),
        pads=[top, left, bottom, right],
    )
    x = writer.activated(op.activation, x)
    if isinstance(op, Conv2d) and op.residual is not None:
        x = writer.node("Add", x, writer.names[op.residual])
    return x


def batch_norm(op: BatchNorm, writer: Writer) -> str:
    statistics = [writer.array(writer.arrays[value]) for value in (op.scale, op.offset, op.mean, op.variance)]
    return writer.node("BatchNormalization", writer.names[op.input], *statistics, epsilon=op.epsilon)


def unary(op: UnaryOp, writer: Writer) -> str:
    return writer.activated(op.opcode, writer.names[op.input])


def elementwise(op: Elementwise, writer: Writer) -> str:
    kind = op.opcode.capitalize()
    return writer.activated(op.activation, writer.node(kind, writer.operand(op.left), writer.operand(op.right)))


def matmul(op: Matmul, writer: Writer) -> str:
    right = writer.operand(op.right)
    if op.transpose == "right":
        right = writer.node("Transpose", right, perm=[0, 2, 1])
    product = writer.node("MatMul", writer.operand(op.left), right)
    return product if op.scale == 1.0 else writer.node("Mul", product, writer.array(np.array(op.scale, np.float32)))


def softmax(op: Softmax, writer: Writer) -> str:
    if op.type.rank == 4:
        raise ValueError("the benchmark's ONNX writer has no softmax over the channels of a map")
    return writer.node("Softmax", writer.names[op.input], axis=-1)


def reshape(op: Reshape, writer: Writer) -> str:
    """Maps are [N, C, H, W] inside: their elements are in our order only as [N, H, W, C]."""
    x = writer.names[op.input]
    if op.input.type.rank == 4:
        x = writer.node("Transpose", x, perm=[0, 2, 3, 1])
    x = writer.node("Reshape", x, writer.array(np.array(op.type.shape, np.int64)))
    return writer.node("Transpose", x, perm=[0, 3, 1, 2]) if op.type.rank == 4 else x


def global_avg_pool(op: GlobalAvgPool, writer: Writer) -> str:
    return writer.node("Flatten", writer.node("GlobalAveragePool", writer.names[op.input]))


def dense(op: Dense, writer: Writer) -> str:
    inputs = [writer.names[op.input], writer.array(writer.arrays[op.filter])]
    if op.bias is not None:
        inputs.append(writer.array(writer.arrays[op.bias]))
    return writer.activated(op.activation, writer.node("Gemm", *inputs))


WRITERS: dict[str, Callable[[Any, Writer], str]] = {
    "normalize": normalize,
    "conv2d": convolution,
    "depthwise_conv2d": convolution,
    "batch_norm": batch_norm,
    **dict.fromkeys((*ACTIVATIONS, "relu6", "hard_sigmoid", "silu"), unary),
    "add": elementwise,
    "sub": elementwise,
    "mul": elementwise,
    "matmul": matmul,
    "softmax": softmax,
    "reshape": reshape,
    "global_avg_pool": global_avg_pool,
    "dense": dense,
}


def to_onnx(module: Module, *, channels_first: bool = False) -> bytes:
    """`module` with its weights, for batch 1.

    Its inputs are images that are normalized first, or float32; its outputs have rank 2. `channels_first`: float32
    inputs of rank 4 are [1, C, H, W] outside as well, which spares engines a transposition.
    Raises `KeyError` for an operation that this writer does not know, with its opcode.
    """
    writer = Writer(module)
    inputs = []
    for port in module.graph.inputs:
        shape = list(port.value.type.shape)
        element = port.value.type.element
        is_map = element.is_float and len(shape) == 4
        if is_map and channels_first:
            shape = [shape[0], shape[3], shape[1], shape[2]]
        inputs.append(helper.make_tensor_value_info(port.name, ELEMENTS[element], shape))
        writer.names[port.value] = port.name
        if is_map and not channels_first:
            writer.names[port.value] = writer.node("Transpose", port.name, perm=[0, 3, 1, 2])
    for op in module.graph.operations:
        if isinstance(op, Constant):
            writer.arrays[op.result] = module.resources[op.resource]
        else:
            writer.names[op.result] = WRITERS[op.opcode](op, writer)
    outputs = []
    for port in module.graph.outputs:
        writer.nodes.append(helper.make_node("Identity", [writer.names[port.value]], [port.name]))
        outputs.append(helper.make_tensor_value_info(port.name, TensorProto.FLOAT, list(port.value.type.shape)))
    graph = helper.make_graph(writer.nodes, module.name, inputs, outputs, writer.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
