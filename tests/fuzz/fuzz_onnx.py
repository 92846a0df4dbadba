"""Fuzzes the importer of ONNX files: whatever bytes come in, nothing but a diagnostic may come out.

    python -m tests.fuzz.fuzz_onnx --seconds 600 [--seed 1]

Changes bytes of small models, and fields of their messages before they are packed, which reaches deeper. A file that
raises anything but `MnetError`, takes too long or too much memory, or is imported as a network that does not check is
written to `build/fuzz/` and ends the run.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np

from mnetdsl.importers.onnx import import_bytes
from tests.fuzz.fuzz_tflite import flip
from tests.fuzz.session import fuzz, try_import
from tests.importers.onnx.networks import Net, mobile

NUMBERS = (0, 1, -1, 2, 3, 4, 7, 127, 128, 255, 1000, 2**20, 2**31 - 1, -(2**31), 2**62, -(2**63))
FLOATS = (0.0, -1.0, 1e-38, 1e38, float("nan"), float("inf"), 0.5, 1.0, 6.0)
KINDS = (
    *("Relu", "Clip", "Add", "Mul", "Sub", "Div", "Conv", "Gemm", "MatMul", "Flatten", "Reshape", "Transpose"),
    *("Concat", "Split", "Slice", "Pad", "Resize", "Softmax", "ArgMax", "ReduceMean", "GlobalAveragePool", "MaxPool"),
    *("AveragePool", "Squeeze", "Unsqueeze", "Cast", "Shape", "Gather", "Constant", "ConstantOfShape", "Identity"),
    *("QuantizeLinear", "DequantizeLinear", "BatchNormalization", "HardSigmoid", "Dropout", "Loop"),
)


def quantized() -> Net:
    """A small network in the QDQ form."""
    net = Net(opset=19)

    def stored(x: str, scale: float, point: int) -> str:
        numbers = net.array(scale), net.array(point, np.int8)
        return net.node("DequantizeLinear", net.node("QuantizeLinear", x, *numbers), *numbers)

    def weights(*shape: int) -> str:
        array = net.array(net.random.integers(-127, 128, shape), np.int8)
        scales = net.array(net.random.uniform(0.01, 0.02, shape[0]))
        return net.node("DequantizeLinear", array, scales, net.array(np.zeros(shape[0]), np.int8), axis=0)

    x = stored("input", 0.02, 0)
    x = stored(net.node("Relu", net.node("Conv", x, weights(8, 3, 3, 3), pads=[1] * 4)), 0.03, -128)
    y = stored(net.node("Conv", x, weights(8, 1, 3, 3), pads=[1] * 4, group=8), 0.04, 0)
    x = stored(net.node("Add", x, y), 0.05, -10)
    x = stored(net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), 0.05, -10)
    x = net.node("Flatten", stored(net.node("GlobalAveragePool", x), 0.02, 0))
    net.output(stored(net.node("Gemm", x, weights(5, 8), transB=1), 0.03, 0))
    return net


def variety() -> Net:
    """Operators that only move numbers, and constants that the file computes."""
    net = Net(opset=18)
    x = net.node("Relu", net.norm(net.conv("input", 3, 8, 3, 2), 8))
    parts = net.node("Split", x, net.array([3, 5], np.int64), axis=1, outputs=2)
    x = net.node("Concat", f"{parts}_1", parts, axis=1)
    x = net.node("Pad", x, net.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    x = net.node("Slice", x, net.array([1], np.int64), net.array([7], np.int64), net.array([2], np.int64))
    x = net.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    batch = net.node("Gather", net.node("Shape", x), net.array([0], np.int64))
    x = net.node("Reshape", x, net.node("Concat", batch, net.array([-1], np.int64), axis=0))
    net.output(net.node("Softmax", net.node("MatMul", x, net.noise(8 * 3 * 5, 6))))
    return net


MADE: tuple[Callable[[], Net], ...] = (
    mobile,
    lambda: mobile("by hand", norm=True),
    lambda: mobile("HardSwish", gate=True),
    quantized,
    variety,
)


def damage(model: Any, random: Random) -> bytes:
    """A field of a message with another value, packed into a file that is well formed."""
    graph = model.graph
    for _ in range(random.randint(1, 4)):
        node = random.choice(graph.node)
        kind = random.randrange(9)
        if kind == 0 and node.attribute:
            _other_attribute(random.choice(node.attribute), random)
        elif kind == 1:
            names = random.choice([node.input, node.output])
            if names:
                other = random.choice([*graph.node[random.randrange(len(graph.node))].output, "", "input"])
                names[random.randrange(len(names))] = other
        elif kind == 2:
            node.op_type = random.choice(KINDS)
        elif kind == 3 and graph.initializer:
            dims = random.choice(graph.initializer).dims
            if dims:
                dims[random.randrange(len(dims))] = random.choice(NUMBERS)
        elif kind == 4 and graph.initializer:
            random.choice(graph.initializer).data_type = random.randrange(24)
        elif kind == 5 and graph.initializer:
            tensor = random.choice(graph.initializer)
            count = len(tensor.raw_data)
            pieces = (random.choice(NUMBERS) & (2**64 - 1) for _ in range(count // 8 + 1))
            tensor.raw_data = b"".join(piece.to_bytes(8, "little") for piece in pieces)[:count]
        elif kind == 6:
            shape = graph.input[0].type.tensor_type.shape
            shape.dim[random.randrange(len(shape.dim))].dim_value = random.choice(NUMBERS)
        elif kind == 7 and len(node.input) > 1:
            del node.input[random.randrange(len(node.input))]
        else:
            model.opset_import[0].version = random.choice((7, 9, 11, 13, 18, 21))
    return bytes(model.SerializeToString())


def _other_attribute(attribute: Any, random: Random) -> None:
    if attribute.ints:
        attribute.ints[random.randrange(len(attribute.ints))] = random.choice(NUMBERS)
    elif random.random() < 0.3:
        attribute.name = random.choice(("axis", "perm", "pads", "strides", "group", "alpha", "axes", "to"))
    elif random.random() < 0.3:
        attribute.type = random.randrange(14)
    else:
        attribute.i = random.choice(NUMBERS)
        attribute.f = random.choice(FLOATS)


def files(random: Random, seed: int) -> Iterator[bytes]:
    tracemalloc.start()
    corpus = [make().packed() for make in MADE]
    while True:
        if random.random() < 0.7:
            try:
                yield damage(random.choice(MADE)().model(), random)
            except (ValueError, TypeError, OverflowError):
                continue  # the packer itself refuses the value
        else:
            yield flip(random.choice(corpus), random)


def try_file(data: bytes) -> bool:
    return try_import(import_bytes, data, "net.onnx")


if __name__ == "__main__":
    sys.exit(fuzz(__doc__, "onnx.onnx", files, try_file))
