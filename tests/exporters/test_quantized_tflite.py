"""Layers of stored integers as TensorFlow Lite files: its reference kernels compute the interpreter's bits."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Value
from mnetdsl.ir.types import ElementType, Quantization, Storage
from tests.backends.c.quantized.layers import Layers, different
from tests.exporters.litert import run_reference
from tests.exporters.needs import need


def agree(net: Layers) -> list[str]:
    """Layers whose results differ."""
    need("ai_edge_litert", "flatbuffers")
    from mnetdsl.exporters.tflite import write_tflite

    inputs = net.inputs()
    expected = net.expected(inputs)
    written = write_tflite(net.module)
    assert set(written.layers) >= {op.name for op in net.module.graph.operations if op.opcode != "constant"}
    return different(run_reference(written, inputs), {name: expected[name] for name in written.layers})


def finished(net: Layers, *values: Value) -> list[str]:
    for value in values:
        net.output(value)
    return agree(net)


def test_convolutions_of_all_geometries() -> None:
    net = Layers(1)
    x = net.input(9, 7, 4)
    same = net.weighted("conv2d", x, (3, 3, 4, 8), "relu6", strides=(2, 2), padding=(1, 1, 1, 1))
    odd = net.weighted("conv2d", x, (3, 3, 4, 5), padding=(2, 0, 0, 2))
    valid = net.weighted("conv2d", x, (2, 3, 4, 5), dilations=(2, 1))
    spread = net.weighted("depthwise_conv2d", x, (3, 3, 4, 2), "relu", padding=(1, 1, 1, 1))
    flat = net.op("reshape", {"input": net.op("global_avg_pool", {"input": same}, same.type.storage)}, None, shape=(8,))
    assert finished(net, same, odd, valid, spread, net.weighted("dense", flat, (8, 6))) == []


def test_sums_products_and_joins_on_different_grids() -> None:
    net = Layers(2)
    a, b = net.input(5, 5, 8), net.input(5, 5, 8)
    wide = Storage(ElementType.I8, Quantization.per_tensor(0.11, 5))
    added = net.op("add", {"left": a, "right": b}, wide, activation="relu")
    less = net.op("sub", {"left": a, "right": b}, wide)
    product = net.op("mul", {"left": added, "right": b}, net.storage())
    joined = net.op("concat", {"inputs": [added, less, product, a]}, wide, axis=3)
    again = net.op("requantize", {"input": joined}, net.storage(3))
    assert finished(net, added, less, product, joined, again) == []


@pytest.mark.parametrize(
    "function", ["relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "silu", "gelu", "tanh", "clamp"]
)
@pytest.mark.parametrize("scale", [0.05, 1 / 128, 1 / 256])
def test_functions_with_an_operator_and_without(function: str, scale: float) -> None:
    """What TensorFlow Lite has no kernel for, or none for this scale, is a table that it gathers from."""
    net = Layers(3)
    x = net.input(4, 4, 8, zero_point=7)
    point = -128 if scale == 1 / 256 else 0
    storage = Storage(ElementType.I8, Quantization.per_tensor(scale, point))
    attributes = {"low": -0.7, "high": 1.3} if function == "clamp" else {}
    assert finished(net, net.op(function, {"input": x}, storage, **attributes)) == []


def test_pools_and_softmax() -> None:
    net = Layers(4)
    x = net.input(8, 7, 6)
    mean = net.op("avg_pool", {"input": x}, None, kernel=(3, 3), strides=(1, 1), padding=(1, 1, 1, 1))
    largest = net.op("max_pool", {"input": x}, None, kernel=(3, 3), strides=(2, 2), padding=(1, 1, 2, 0))
    whole = net.op("global_avg_pool", {"input": x}, net.storage())
    usual = net.op("softmax", {"input": whole}, Storage(ElementType.I8, Quantization.per_tensor(1 / 256, -128)))
    other = net.op("softmax", {"input": whole}, Storage(ElementType.I8, Quantization.per_tensor(1 / 200, -100)))
    assert finished(net, mean, largest, whole, usual, other) == []


def test_a_layer_that_the_format_has_not_is_named() -> None:
    net = Layers(4)
    mean = net.op("avg_pool", {"input": net.input(8, 8, 6)}, None, kernel=(3, 3), padding=(2, 2, 2, 2))
    with pytest.raises(MnetError) as refused:
        _written(net, mean)
    (problem,) = refused.value.diagnostics
    assert problem.code == "MN2101"
    assert "avg_pool" in problem.message
    assert "[2, 2, 2, 2]" in problem.message


def test_moves() -> None:
    net = Layers(5)
    x = net.input(4, 6, 8)
    zeros = net.op("pad", {"input": x}, None, padding=(1, 0, 2, 1))
    ones = net.op("pad", {"input": zeros}, None, padding=(0, 1, 0, 1), value=1.0)
    turned = net.op("transpose", {"input": ones}, None, order=(2, 0, 1))
    part = net.op("slice", {"input": turned}, None, begin=(1, 2, 0), size=(3, 2, 5))
    flat = net.op("reshape", {"input": part}, None, shape=(30,))
    real = net.op("dequantize", {"input": flat})
    back = net.op("quantize", {"input": real}, net.storage())
    assert finished(net, zeros, ones, turned, part, flat, real, back) == []


def _written(net: Layers, value: Value) -> bytes:
    need("ai_edge_litert", "flatbuffers")
    from mnetdsl.exporters.tflite import to_tflite

    net.output(value)
    return to_tflite(net.module)


def test_random_layers_of_many_seeds() -> None:
    found: list[str] = []
    for seed in range(10, 20):
        net = Layers(seed)
        size = int(net.random.integers(3, 9))
        x = net.input(size, size + 1, 3)
        x = net.weighted("conv2d", x, (3, 3, 3, 8), "relu", strides=(2, 2), padding=(1, 1, 1, 1), gain=2.0)
        y = net.weighted("depthwise_conv2d", x, (3, 3, 8, 1), "relu6", padding=(1, 1, 1, 1))
        y = net.weighted("conv2d", y, (1, 1, 8, 8))
        net.output(net.op("add", {"left": x, "right": y}, net.storage()))
        found += agree(net)
    assert found == []


def test_the_same_module_gives_the_same_bytes() -> None:
    def made() -> bytes:
        net = Layers(6)
        return _written(net, net.weighted("conv2d", net.input(5, 5, 3), (3, 3, 3, 4)))

    assert made() == made()
    assert np.frombuffer(made()[4:8], np.uint8).tobytes() == b"TFL3"
