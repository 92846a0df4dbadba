"""PyTorch and the interpreter define every operation alike: two implementations, one meaning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.ops import FLOAT_OPERATIONS, OPERATIONS
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.ir.types import ElementType, TensorType
from tests.graphs import GraphMaker
from tests.training.comparison import assert_torch_agrees

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

BATCH = 3


def add(maker: GraphMaker, opcode: str, operands: dict[str, Value], **attributes: object) -> Value:
    return maker.builder.add(OPERATIONS[opcode], operands=operands, **attributes).result


def inputs_of(module: Module, seed: int = 7, spread: float = 3.0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    found = {}
    for port in module.graph.inputs:
        shape = (BATCH, *port.value.type.shape[1:])
        if port.value.type.element is ElementType.F32:
            found[port.name] = (random.standard_normal(shape) * spread).astype(np.float32)
        else:
            limits = np.iinfo(port.value.type.element.dtype)
            found[port.name] = random.integers(limits.min, limits.max + 1, shape).astype(limits.dtype)
    return found


def conv2d(kernel=(3, 3), size=(9, 8), channels=5, outputs=7, bias=True, residual=False, **attributes) -> Module:
    maker = GraphMaker()
    operands = {
        "input": maker.input(*size, channels),
        "filter": maker.random_constant("conv.weight", *kernel, channels, outputs),
    }
    if bias:
        operands["bias"] = maker.random_constant("conv.bias", outputs)
    if residual:
        shape = OPERATIONS["conv2d"](dict(operands), attributes).type.shape
        operands["residual"] = maker.input(*shape[1:], name="residual")
    return maker.output(add(maker, "conv2d", operands, **attributes))


def depthwise(kernel=(3, 3), size=(9, 8), channels=5, multiplier=1, bias=True, **attributes) -> Module:
    maker = GraphMaker()
    operands = {
        "input": maker.input(*size, channels),
        "filter": maker.random_constant("conv.weight", *kernel, channels, multiplier),
    }
    if bias:
        operands["bias"] = maker.random_constant("conv.bias", channels * multiplier)
    return maker.output(add(maker, "depthwise_conv2d", operands, **attributes))


def dense(bias=True, **attributes) -> Module:
    maker = GraphMaker()
    operands = {"input": maker.input(11), "filter": maker.random_constant("dense.weight", 11, 6)}
    if bias:
        operands["bias"] = maker.random_constant("dense.bias", 6)
    return maker.output(add(maker, "dense", operands, **attributes))


def batch_norm(*shape: int) -> Module:
    maker = GraphMaker()
    channels = shape[-1]
    operands = {
        "input": maker.input(*shape),
        "scale": maker.random_constant("norm.weight", channels),
        "offset": maker.random_constant("norm.bias", channels),
        "mean": maker.random_constant("norm.running_mean", channels),
        "variance": maker.constant("norm.running_var", maker.random.uniform(0.01, 4, channels).astype(np.float32)),
    }
    return maker.output(add(maker, "batch_norm", operands, epsilon=0.01))


def layer_norm(*shape: int) -> Module:
    maker = GraphMaker()
    operands = {
        "input": maker.input(*shape),
        "scale": maker.random_constant("norm.weight", shape[-1]),
        "offset": maker.random_constant("norm.bias", shape[-1]),
    }
    return maker.output(add(maker, "layer_norm", operands, epsilon=0.01))


def unary(opcode: str, **attributes) -> Module:
    maker = GraphMaker()
    return maker.output(add(maker, opcode, {"input": maker.input(6, 5, 4)}, **attributes))


def binary(opcode: str, left: tuple[int, ...], right: tuple[int, ...], **attributes) -> Module:
    maker = GraphMaker()
    operands = {"left": maker.input(*left, name="left"), "right": maker.input(*right, name="right")}
    return maker.output(add(maker, opcode, operands, **attributes))


def window(opcode: str, map=(9, 8), **attributes) -> Module:
    maker = GraphMaker()
    return maker.output(add(maker, opcode, {"input": maker.input(*map, 3)}, **attributes))


def rows(opcode: str, size: tuple[int, ...], /, **attributes: object) -> Module:
    maker = GraphMaker()
    return maker.output(add(maker, opcode, {"input": maker.input(*size)}, **attributes))


def normalize(element: ElementType, mean: tuple[float, ...], std: tuple[float, ...]) -> Module:
    maker = GraphMaker()
    image = maker.builder.input("image", TensorType((1, 5, 4, 3), element)).value
    return maker.output(add(maker, "normalize", {"input": image}, mean=mean, std=std))


def concat(axis: int) -> Module:
    maker = GraphMaker()
    sizes = [[4, 5, 6] for _ in range(3)]
    for index, size in enumerate(sizes):
        size[axis - 1] += index
    inputs = [maker.input(*size, name=f"part{index}") for index, size in enumerate(sizes)]
    return maker.output(add(maker, "concat", {"inputs": inputs}, axis=axis))


def several_outputs() -> Module:
    maker = GraphMaker()
    image = maker.input(4, 4, 2)
    maker.builder.output("rectified", add(maker, "relu", {"input": image}))
    return maker.output(image, "same")


def matmul(left: tuple[int, int], right: tuple[int, int], **attributes: object) -> Module:
    maker = GraphMaker()
    operands = {"left": maker.input(*left, name="left"), "right": maker.input(*right, name="right")}
    return maker.output(add(maker, "matmul", operands, **attributes))


CASES: dict[str, Callable[[], Module]] = {
    "conv2d": conv2d,
    "conv2d-no-bias": lambda: conv2d(bias=False),
    "conv2d-pointwise-on-one-pixel": lambda: conv2d(kernel=(1, 1), size=(1, 1)),
    "conv2d-symmetric": lambda: conv2d(padding=(1, 1, 2, 2), strides=(2, 1)),
    "conv2d-asymmetric": lambda: conv2d(padding=(0, 1, 2, 0), strides=(2, 2)),
    "conv2d-padding-larger-than-kernel": lambda: conv2d(kernel=(2, 2), padding=(3, 0, 5, 4)),
    "conv2d-dilated-oblong": lambda: conv2d(kernel=(2, 3), dilations=(3, 2), strides=(1, 2), padding=(1, 1, 0, 0)),
    "conv2d-activation-then-residual": lambda: conv2d(activation="relu6", residual=True),
    "depthwise": depthwise,
    "depthwise-no-bias": lambda: depthwise(bias=False),
    "depthwise-multiplier": lambda: depthwise(multiplier=3, padding=(1, 0, 0, 1), strides=(2, 1)),
    "depthwise-one-channel": lambda: depthwise(channels=1, multiplier=4),
    "depthwise-dilated": lambda: depthwise(kernel=(3, 2), dilations=(2, 3), padding=(2, 2, 1, 1), activation="relu"),
    "dense": dense,
    "dense-no-bias": lambda: dense(bias=False, activation="tanh"),
    "batch_norm-map": lambda: batch_norm(5, 6, 7),
    "batch_norm-sequence": lambda: batch_norm(6, 7),
    "batch_norm-features": lambda: batch_norm(7),
    "layer_norm": lambda: layer_norm(5, 4, 3),
    "layer_norm-features": lambda: layer_norm(7),
    "add": lambda: binary("add", (5, 4, 3), (5, 4, 3)),
    "add-broadcast": lambda: binary("add", (5, 1, 3), (1, 4, 1), activation="hard_swish"),
    "sub": lambda: binary("sub", (5, 4, 3), (5, 4, 3), activation="relu6"),
    "sub-broadcast": lambda: binary("sub", (1, 1, 3), (5, 4, 3)),
    "mul": lambda: binary("mul", (5, 4, 3), (5, 4, 3), activation="relu"),
    "mul-by-gates": lambda: binary("mul", (5, 4, 3), (1, 1, 3)),
    "clamp": lambda: unary("clamp", low=-0.5, high=2.0),
    **{opcode: lambda opcode=opcode: unary(opcode) for opcode in UNARY_FUNCTIONS},
    **{f"activation-{name}": lambda name=name: conv2d(kernel=(1, 1), activation=name) for name in UNARY_FUNCTIONS},
    "softmax": lambda: unary("softmax"),
    "matmul": lambda: matmul((5, 3), (3, 4)),
    "matmul-transposed": lambda: matmul((5, 3), (4, 3), transpose="right", scale=0.25),
    "avg_pool": lambda: window("avg_pool", kernel=(2, 3), strides=(2, 1)),
    "avg_pool-padded": lambda: window("avg_pool", kernel=(3, 3), strides=(2, 2), padding=(0, 1, 2, 1)),
    "max_pool": lambda: window("max_pool", kernel=(2, 3), strides=(2, 1)),
    "max_pool-padded": lambda: window("max_pool", kernel=(3, 3), strides=(2, 2), padding=(0, 1, 2, 1)),
    "global_avg_pool": lambda: window("global_avg_pool"),
    "pad": lambda: window("pad", padding=(1, 2, 0, 3), value=-1.5),
    "concat-rows": lambda: concat(1),
    "concat-channels": lambda: concat(3),
    "reshape": lambda: window("reshape", map=(4, 6), shape=(8, 9)),
    "transpose": lambda: window("transpose", order=(2, 0, 1)),
    "transpose-sequence": lambda: rows("transpose", (5, 7), order=(1, 0)),
    "slice": lambda: window("slice", begin=(2, 0, 1), size=(3, 8, 2)),
    "resize": lambda: window("resize", size=(7, 13)),
    "resize-corners": lambda: window("resize", size=(17, 5), align_corners=True),
    "resize-centers": lambda: window("resize", size=(5, 20), half_pixel_centers=True),
    "resize-nearest": lambda: window("resize", size=(20, 5), method="nearest"),
    "argmax": lambda: window("argmax"),
    "slice-features": lambda: rows("slice", (9,), begin=(4,), size=(5,)),
    "normalize-pixels": lambda: normalize(ElementType.U8, (127.5,), (127.5,)),
    "normalize-signed": lambda: normalize(ElementType.I8, (1.0, 2.0, 3.0), (4.0,)),
    "normalize-floats": lambda: normalize(ElementType.F32, (1.0,), (4.0, 5.0, 6.0)),
    "several-outputs": several_outputs,
}


@pytest.mark.parametrize("case", CASES)
def test_pytorch_computes_what_the_interpreter_computes(case: str) -> None:
    module = CASES[case]()
    assert_torch_agrees(module, inputs_of(module))


def test_every_operation_has_a_meaning_and_a_case() -> None:
    from mnetdsl.training.ops import EVALUATE

    assert EVALUATE.keys() | {"constant"} == FLOAT_OPERATIONS.keys()
    tested = {op.opcode for make in CASES.values() for op in make().graph.operations}
    assert tested | {"constant"} == FLOAT_OPERATIONS.keys()
