"""Kernels of scalar invocations on bytes have the interpreter's bits on Vulkan."""

from __future__ import annotations

import re

import numpy as np
import pytest

import mnetdsl
from mnetdsl.backends.iree.emission import emit
from mnetdsl.backends.iree.package import generate
from mnetdsl.backends.iree.runner import PackageRunner
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.types import ElementType, Storage
from mnetdsl.passes.pipelines import optimize
from tests.backends.iree.harness import inputs_of, require_target
from tests.backends.iree.quantized.cases import I8, I16, U8, QuantizedMaker, storage

TARGET = "iree-vulkan:simt"
RELU = storage(ElementType.I8, 0.02, -128)


def pointwise(
    maker: QuantizedMaker,
    source: Value,
    channels: int,
    stored: Storage,
    plain: bool = False,
    activation: str = "none",
) -> Value:
    depth = source.type.shape[-1]
    return maker.layer("conv2d", source, (1, 1, depth, channels), stored, plain=plain, activation=activation)


def extreme(maker: QuantizedMaker, source: Value, channels: int, stored: Storage) -> Value:
    """Weights and biases at both ends of what is stored, factors that leave sums whole or nothing of them."""
    depth, random = source.type.shape[-1], maker.random
    weights = random.choice(np.array([-128, -127, 0, 127], np.int8), (1, 1, depth, channels))
    weights[..., 0], weights[..., 1] = -128, 127
    scales = np.float32(2.0) ** random.integers(-24, 3, channels).astype(np.float32)
    return maker.op(
        "conv2d",
        {
            "input": source,
            "filter": maker.held(weights),
            "bias": maker.held(random.choice(np.array([-(2**30), -1, 0, 2**30], np.int32), channels)),
            "filter_scale": maker.held(scales),
        },
        stored,
    )


def differing(module: Module) -> tuple[dict[str, int], dict[str, str | None]]:
    """How many results of each output differ from the interpreter's, and each layer's kernel."""
    require_target("iree-vulkan")
    inputs = inputs_of(module, 2)
    package = generate(module, "net", TARGET)
    results = PackageRunner(package).run(inputs)
    expected = run(module, inputs)
    assert all(array.std() > 0 for array in expected.values())
    wrong = {name: int((results[name] != array).sum()) for name, array in expected.items()}
    return wrong, {road.location.name: road.kernel for road in package.roads}


def kinds(kernels: dict[str, str | None]) -> list[str]:
    return [re.sub(r"_\d+x.*", "", kernel or "linalg") for kernel in kernels.values()]


def outputs_of(maker: QuantizedMaker, values: list[Value]) -> Module:
    for number, value in enumerate(values):
        maker.output(value, f"out{number}")
    return maker.module


def test_layers_have_the_interpreters_bits() -> None:
    """Shapes below a tile, whole tiles and some more; with shifts to the left, a factor of 0 and activations."""
    maker = QuantizedMaker("layers")
    values = [
        pointwise(maker, maker.fresh(I8, 5, 7, 36), 40, storage(ElementType.I8, 0.07, 11)),
        pointwise(maker, maker.fresh(I8, 3, 3, 4), 6, RELU, activation="relu"),
        pointwise(maker, maker.fresh(I8, 4, 8, 64), 32, I8, plain=True, activation="relu6"),
        pointwise(maker, maker.fresh(I8, 1, 9, 68), 97, U8, plain=True),
        maker.layer("dense", maker.fresh(I8, 52), (52, 37), I8),
        pointwise(maker, maker.fresh(I8, 1, 7, 8), 33, I8),
    ]
    wrong, kernels = differing(outputs_of(maker, values))
    assert sum(wrong.values()) == 0
    assert kinds(kernels) == ["simt_bytes_pointwise"] * 4 + ["simt_bytes_rows"] * 2


def test_numbers_at_their_ends_keep_their_bits() -> None:
    maker = QuantizedMaker("extremes")
    values = [
        extreme(maker, maker.fresh(I8, 3, 11, 132), 34, I8),
        extreme(maker, maker.fresh(storage(ElementType.I8, 0.05, -128), 5, 2, 20), 64, U8),
        extreme(maker, maker.fresh(storage(ElementType.I8, 0.05, 127), 2, 2, 1028), 9, I8),
        extreme(maker, maker.fresh(U8, 4, 3, 12), 13, I8),
        extreme(maker, maker.fresh(U8, 1, 2, 40), 21, U8),
    ]
    wrong, kernels = differing(outputs_of(maker, values))
    assert sum(wrong.values()) == 0
    assert None not in kernels.values()


def test_layers_before_and_behind_read_and_write_the_same_bytes() -> None:
    """A residual sum and a window between kernels; six channels, which are stored with two more."""
    maker = QuantizedMaker("network")
    image = maker.fresh(I8, 6, 7, 12)
    x = pointwise(maker, image, 6, I8, plain=True)
    x = maker.layer("depthwise_conv2d", x, (3, 3, 6, 1), I8, plain=True, padding=(1, 1, 1, 1))
    narrow = pointwise(maker, image, 6, I8, plain=True)
    x = maker.op("add", {"left": x, "right": narrow}, I8)
    both = pointwise(maker, narrow, 12, I8, plain=True)
    y = maker.op("add", {"left": both, "right": image}, I8)
    module = outputs_of(maker, [x, narrow, both, pointwise(maker, y, 40, RELU, plain=True, activation="relu")])
    wrong, kernels = differing(module)
    assert sum(wrong.values()) == 0
    assert sum(kernel is not None for kernel in kernels.values()) == 4


def test_what_has_no_kernel_says_why() -> None:
    maker = QuantizedMaker("others")
    values = [
        pointwise(maker, maker.fresh(I8, 3, 5, 9), 8, I8),
        pointwise(maker, maker.fresh(I8, 3, 5, 8), 8, I16),
        maker.layer("conv2d", maker.fresh(I8, 5, 5, 4), (3, 3, 4, 8), I8),
        maker.layer("conv2d", maker.fresh(U8, 3, 3, 4), (1, 1, 4, 8), U8, scales=1),
        maker.layer("depthwise_conv2d", maker.fresh(I8, 5, 5, 4), (3, 3, 4, 1), I8),
    ]
    emitted = emit(outputs_of(maker, values), simt=True, simt_kernels=True)
    reasons = ["go by four", "16 bits", "only pointwise", "9 bits", "no own kernel"]
    for road, reason in zip(emitted.roads, reasons, strict=True):
        assert road.kernel is None
        assert reason in road.remark().message


def test_kernels_use_32_bits_alone() -> None:
    maker = QuantizedMaker("words")
    values = [pointwise(maker, maker.fresh(I8, 5, 7, 36), 40, I8), maker.layer("dense", maker.fresh(I8, 8), (8, 8), I8)]
    text = emit(outputs_of(maker, values), simt=True, simt_kernels=True).text
    bodies = [part.split("func.func @main")[0] for part in text.split("stream.executable private")[1:]]
    assert len(bodies) == 2
    assert "#gpu.address_space<workgroup>" in text
    for body in bodies:
        assert "arith.muli" in body
        assert not re.search(r"\b(i8|i16|i64|f32)\b|x(i8|i16|i64|f32)\b|subgroup", body)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4])
def test_random_layers_have_the_interpreters_bits(seed: int) -> None:
    maker = QuantizedMaker("random")
    draw = np.random.default_rng(seed).integers
    values = []
    for number in range(8):
        source = maker.fresh((I8, U8)[number % 4 == 3], int(draw(1, 13)), int(draw(1, 20)), 4 * int(draw(1, 60)))
        build = extreme if number % 2 else pointwise
        values.append(build(maker, source, int(draw(1, 120)), (I8, U8)[number % 3 == 2]))
    wrong, kernels = differing(outputs_of(maker, values))
    assert sum(wrong.values()) == 0
    assert any(kernel is not None for kernel in kernels.values())


@pytest.mark.slow
def test_a_network_has_the_interpreters_bits() -> None:
    """MobileNetV1, small in every way: kernels between windows and a mean on linalg."""
    network = mnetdsl.load("mobilenet_v1", alpha=0.25, resolution=32, classes=10).with_weights("random:3")
    pictures = np.random.default_rng(4).integers(0, 256, (8, 32, 32, 3), np.uint8)
    wrong, kernels = differing(optimize(network.quantize([pictures]).module))
    assert sum(wrong.values()) == 0
    assert sum(kernel is not None for kernel in kernels.values()) == 14
