"""16-bit tensors in TensorFlow Lite files: mixed precision keeps the interpreter's bits too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Value
from mnetdsl.ir.types import ElementType, Quantization, Storage
from tests.backends.c.quantized.layers import Layers
from tests.exporters.test_quantized_tflite import finished


def wide(scale: float = 0.0007) -> Storage:
    return Storage(ElementType.I16, Quantization.per_tensor(scale, 0))


def start(net: Layers) -> Value:
    return net.op("requantize", {"input": net.input(6, 6, 4)}, wide())


def weighted(
    net: Layers, opcode: str, x: Value, filter: tuple[int, ...], activation: str = "none", **more: Any
) -> Value:
    outputs = x.type.shape[-1] * filter[3] if opcode == "depthwise_conv2d" else filter[-1]
    taps = int(np.prod(filter)) // outputs
    scales = 2.0 ** net.random.uniform(-1, 1, outputs) / (np.sqrt(taps) * 90)
    bias = net.random.normal(0, 1e6, outputs).astype(np.int64)
    if x.type.element is ElementType.I8:
        bias = (bias // 500).astype(np.int32)
    name = f"{opcode}.{net.count}"
    operands = {
        "input": x,
        "filter": net.constant(f"{name}.weight", net.random.integers(-127, 128, filter).astype(np.int8)),
        "bias": net.constant(f"{name}.bias", bias),
        "filter_scale": net.constant(f"{name}.weight_scale", scales.astype(np.float32)),
    }
    return net.op(opcode, operands, wide(), activation=activation, **more)


def layers(net: Layers) -> list[Value]:
    x = start(net)
    strided = weighted(net, "conv2d", x, (3, 3, 4, 8), "relu", padding=(1, 1, 1, 1), strides=(2, 2))
    spread = weighted(net, "depthwise_conv2d", x, (3, 3, 4, 1), "relu6", padding=(1, 1, 1, 1))
    mean = net.op("global_avg_pool", {"input": x}, wide())
    return [strided, spread, mean, weighted(net, "dense", mean, (4, 6))]


def sums(net: Layers) -> list[Value]:
    x = start(net)
    y = net.op("requantize", {"input": x}, wide(0.0011))
    pairs = [net.op(opcode, {"left": x, "right": y}, wide(0.0011)) for opcode in ("add", "sub", "mul")]
    return [y, *pairs, net.op("concat", {"inputs": [x, y]}, wide(0.0011), axis=3)]


def moves(net: Layers) -> list[Value]:
    x = start(net)
    window = {"kernel": (2, 2), "strides": (2, 2)}
    return [
        net.op("avg_pool", {"input": x}, None, **window),
        net.op("max_pool", {"input": x}, None, **window),
        net.op("pad", {"input": x}, None, padding=(1, 0, 0, 1)),
        net.op("transpose", {"input": x}, None, order=(2, 0, 1)),
        net.op("slice", {"input": x}, None, begin=(1, 0, 0), size=(2, 2, 2)),
        net.op("requantize", {"input": x}, net.storage(4)),
        net.op("quantize", {"input": net.op("dequantize", {"input": x})}, wide(0.0011)),
    ]


def from_eight_bits(net: Layers) -> list[Value]:
    """What `mnet quantize --int16` makes: a layer of 8 bits whose result has 16."""
    x, y = net.input(7, 6, 4), net.input(7, 6, 4)

    flat = net.op("global_avg_pool", {"input": x}, net.storage())
    return [
        weighted(net, "conv2d", x, (3, 3, 4, 8), "relu6", padding=(1, 1, 1, 1), strides=(2, 2)),
        weighted(net, "conv2d", x, (3, 3, 4, 8), padding=(0, 2, 1, 1)),
        weighted(net, "depthwise_conv2d", x, (3, 3, 4, 2), "relu", padding=(1, 1, 1, 1)),
        weighted(net, "dense", flat, (4, 6)),
        net.op("mul", {"left": x, "right": y}, wide()),
        net.op("global_avg_pool", {"input": x}, wide()),
        net.op("hard_swish", {"input": x}, wide()),
        net.op("relu", {"input": x}, wide()),
    ]


def to_eight_bits(net: Layers) -> list[Value]:
    """A layer of 16 bits whose result has 8 again."""
    x = start(net)
    found = layers(net)
    eight = net.storage(-7)
    made = []
    for value in found:
        operation = value.producer
        assert operation is not None
        operands = {d.name: operation.operand_group(d.name) for d in operation.operand_defs}
        made.append(net.op(operation.opcode, operands, eight, **operation.attributes))
    pairs = [net.op(opcode, {"left": x, "right": x}, eight) for opcode in ("add", "sub", "mul")]
    return [
        *made,
        *pairs,
        net.op("relu6", {"input": x}, eight),
        net.op("mul", {"left": x, "right": net.input(6, 6, 4)}, eight),
    ]


@pytest.mark.parametrize("made", [layers, sums, moves, from_eight_bits, to_eight_bits])
def test_operations(made: Callable[[Layers], list[Value]]) -> None:
    net = Layers(1)
    assert finished(net, *made(net)) == []


@pytest.mark.parametrize("function", ["relu", "relu6", "sigmoid", "tanh", "hard_swish", "gelu", "hard_sigmoid", "silu"])
def test_functions_are_lines_between_entries_of_a_table(function: str) -> None:
    net = Layers(2)
    scale = 1 / 32768 if function in ("sigmoid", "tanh") else 0.0007
    assert finished(net, net.op(function, {"input": start(net)}, wide(scale))) == []


def test_a_sum_of_both_widths_is_refused() -> None:
    net = Layers(4)
    x = start(net)
    net.output(net.op("add", {"left": x, "right": net.input(6, 6, 4)}, wide()))
    from mnetdsl.exporters.tflite import to_tflite

    with pytest.raises(MnetError) as refused:
        to_tflite(net.module)
    assert refused.value.diagnostics[0].code == "MN2101"
    assert "16 bits" in str(refused.value.diagnostics[0].help)


def test_a_softmax_of_16_bits_is_refused() -> None:
    net = Layers(3)
    flat = net.op("reshape", {"input": start(net)}, None, shape=(144,))
    net.output(net.op("softmax", {"input": flat}, wide(1 / 32768)))
    from mnetdsl.exporters.tflite import to_tflite

    with pytest.raises(MnetError) as refused:
        to_tflite(net.module)
    assert refused.value.diagnostics[0].code == "MN2101"
