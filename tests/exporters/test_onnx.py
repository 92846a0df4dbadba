"""ONNX files: ONNX's own reference implementation computes the interpreter's numbers, quantized ones within a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.diagnostics import MnetError
from mnetdsl.exporters.inputs import exported_inputs
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Port, Value
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.quantize.apply import quantizable
from tests.backends.c.quantized.layers import Layers
from tests.exporters.needs import need

Array = NDArray[Any]


def reference(data: bytes, inputs: dict[str, Array]) -> dict[str, Array]:
    """Outputs by name, maps channels last."""
    from onnx import load_from_string
    from onnx.reference import ReferenceEvaluator

    model = load_from_string(data)
    names = [output.name for output in model.graph.output]
    given = {name: array.transpose(0, 3, 1, 2) if array.ndim == 4 else array for name, array in inputs.items()}
    found = ReferenceEvaluator(model).run(names, given)
    turned = (array.transpose(0, 2, 3, 1) if array.ndim == 4 else array for array in found)
    return dict(zip(names, turned, strict=True))


def written(module: Module) -> bytes:
    need("onnx")
    from mnetdsl.exporters.onnx import write_onnx

    return write_onnx(module)


def off_by(net: Layers, *values: Value) -> float:
    """By how many steps outputs differ at most."""
    for value in values:
        net.output(value)
    data = written(net.module)
    worst = 0
    inputs = net.inputs()
    for index in range(len(next(iter(inputs.values())))):
        one = {name: array[index : index + 1] for name, array in inputs.items()}
        found = reference(data, one)
        for name, ours in net.expected(one).items():
            if name in found:
                assert found[name].dtype == ours.dtype
                worst = max(worst, int(np.abs(found[name].astype(np.int64) - ours.astype(np.int64)).max()))
    return worst


def test_layers_with_weights() -> None:
    net = Layers(1)
    x = net.input(9, 7, 4)
    odd = net.weighted("conv2d", x, (3, 3, 4, 5), padding=(2, 0, 0, 2))
    strided = net.weighted("conv2d", x, (3, 3, 4, 8), "relu6", strides=(2, 2), padding=(1, 1, 1, 1))
    spread = net.weighted("depthwise_conv2d", x, (3, 3, 4, 2), "relu", padding=(1, 1, 1, 1), dilations=(1, 1))
    flat = net.op("reshape", {"input": net.op("global_avg_pool", {"input": x}, x.type.storage)}, None, shape=(4,))
    assert off_by(net, odd, strided, spread, net.weighted("dense", flat, (4, 6))) <= 2


def test_sums_and_joins() -> None:
    net = Layers(2)
    a, b = net.input(5, 5, 8), net.input(5, 5, 8)
    wide = Storage(ElementType.I8, Quantization.per_tensor(0.11, 5))
    added = net.op("add", {"left": a, "right": b}, wide, activation="relu")
    product = net.op("mul", {"left": added, "right": b}, net.storage())
    joined = net.op("concat", {"inputs": [added, product, a]}, wide, axis=3)
    assert off_by(net, added, product, joined, net.op("requantize", {"input": a}, wide)) <= 2


@pytest.mark.parametrize("function", ["relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "silu", "gelu", "tanh"])
def test_functions(function: str) -> None:
    net = Layers(3)
    storage = Storage(ElementType.I8, Quantization.per_tensor(1 / 64, -10))
    assert off_by(net, net.op(function, {"input": net.input(4, 4, 8, zero_point=7)}, storage)) <= 1


def test_moves_pools_and_conversions() -> None:
    net = Layers(5)
    x = net.input(4, 6, 8)
    padded = net.op("pad", {"input": x}, None, padding=(1, 0, 2, 1))
    turned = net.op("transpose", {"input": padded}, None, order=(2, 0, 1))
    part = net.op("slice", {"input": turned}, None, begin=(1, 2, 0), size=(3, 2, 5))
    flat = net.op("reshape", {"input": part}, None, shape=(30,))
    back = net.op("quantize", {"input": net.op("dequantize", {"input": flat})}, net.storage())
    mean = net.op("avg_pool", {"input": x}, None, kernel=(3, 3), strides=(2, 2), padding=(1, 0, 1, 1))
    largest = net.op("max_pool", {"input": x}, None, kernel=(3, 3), strides=(2, 2), padding=(1, 1, 2, 0))
    shares = net.op("softmax", {"input": flat}, Storage(ElementType.I8, Quantization.per_tensor(1 / 256, -128)))
    assert off_by(net, padded, turned, part, flat, back, mean, largest, shares) <= 1


def test_a_float_network_has_the_interpreters_logits() -> None:
    network = mnetdsl.load("mobilenet_v3_small", resolution=32).with_weights("random:1")
    module = quantizable(network.module)
    image = np.random.default_rng(1).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    (found,) = exported_inputs(module)
    real = (image.astype(np.float32) - np.array(found.mean, np.float32)) / np.array(found.std, np.float32)
    expected = run(module, {"image": image})["logits"]
    logits = reference(written(module), {"image": real})["logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-5 * float(np.abs(expected).max()))


def test_the_same_module_gives_the_same_bytes() -> None:
    def made() -> bytes:
        net = Layers(6)
        net.output(net.weighted("conv2d", net.input(5, 5, 3), (3, 3, 3, 4)))
        return written(net.module)

    assert made() == made()


def test_an_image_read_in_two_ways_has_no_form() -> None:
    module = mnetdsl.load("mobilenet_v1", resolution=32).with_weights("random:1").module
    module = quantizable(module)
    (normalize,) = (op for op in module.graph.operations if op.opcode == "normalize")
    again = type(normalize)({"input": normalize.operands[0]}, {"mean": (1.0,), "std": (2.0,)}, normalize.location)
    module.graph.operations.append(again)
    module.graph.outputs.append(Port("other", again.result, {}, again.location))
    with pytest.raises(MnetError) as refused:
        written(module)
    assert refused.value.diagnostics[0].code == "MN2102"
