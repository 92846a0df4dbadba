"""Kernels on bytes have the interpreter's bits, for shapes that cut in every way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mnetdsl.backends.iree.emission import Emitted, emit
from mnetdsl.backends.iree.kernels.machine import isa_of
from mnetdsl.backends.iree.runner import IreeRunner
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.types import ElementType
from tests.backends.iree.harness import inputs_of
from tests.backends.iree.quantized.cases import I8, U8, QuantizedMaker, storage

RELU = storage(ElementType.I8, 0.02, -128)
GATE = storage(ElementType.I8, 1 / 256, -128)


@pytest.fixture(scope="module", autouse=True)
def byte_kernels() -> None:
    isa = isa_of(TARGETS["iree-cpu"])
    if isa is None or isa.bytes is None:
        pytest.skip("this processor has no products of bytes")


def layers(maker: QuantizedMaker) -> list[Value]:
    """Layers of random shapes, all of them with own kernels."""
    draw = maker.random.integers
    found = []
    for number in range(6):
        activation = ("none", "relu", "relu6")[number % 3]
        stored = RELU if activation != "none" else I8
        height, width, depth, channels = (int(draw(*ends)) for ends in ((1, 13), (1, 30), (1, 70), (1, 90)))
        found.append(
            maker.layer(
                "conv2d",
                maker.fresh(I8, height, width, depth),
                (1, 1, depth, channels),
                stored,
                plain=True,
                activation=activation,
            )
        )
        found.append(
            maker.layer("dense", maker.fresh(I8, depth), (depth, channels), stored, plain=True, activation=activation)
        )
        kernel, stride = ((3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (1, 2))[number]
        margins = tuple(int(draw(0, kernel // 2 + 1)) for _ in range(4))
        size = height + kernel, width + kernel
        attributes: dict[str, Any] = {"strides": (stride, stride), "padding": margins, "activation": activation}
        source = maker.fresh(I8, *size, channels)
        found.append(
            maker.layer("depthwise_conv2d", source, (kernel, kernel, channels, 1), stored, plain=True, **attributes)
        )
        found.append(
            maker.layer(
                "conv2d", maker.fresh(I8, *size, 3), (kernel, kernel, 3, channels), stored, plain=True, **attributes
            )
        )
    found.append(maker.layer("dense", maker.fresh(U8, 90), (90, 40), U8, scales=1))
    found.append(maker.layer("conv2d", maker.fresh(U8, 6, 7, 21), (1, 1, 21, 40), U8, scales=1))
    found.append(maker.layer("conv2d", maker.fresh(U8, 6, 7, 3), (3, 3, 3, 40), U8, scales=1, padding=(1, 1, 0, 2)))
    source = maker.fresh(U8, 6, 7, 50)
    found.append(maker.layer("depthwise_conv2d", source, (5, 5, 50, 1), U8, scales=1, padding=(2, 2, 2, 2)))
    for height in (1, 2, 3):  # windows that reach over both edges of the map
        source = maker.fresh(I8, height, 4, 20)
        found.append(
            maker.layer("depthwise_conv2d", source, (5, 5, 20, 1), I8, plain=True, strides=(1, 1), padding=(2, 2, 2, 2))
        )
    for shape in ((7, 5, 33), (3, 3, 16), (9, 9, 70)):
        entries = draw(-128, 128, 256).astype(np.int8)
        left, gates = maker.fresh(I8, *shape), maker.fresh(GATE, 1, 1, shape[2])
        found.append(maker.op("lookup", {"input": left, "table": maker.held(entries)}, GATE))
        found.append(maker.op("global_avg_pool", {"input": left}, storage(ElementType.I8, 0.041, 5)))
        found.append(maker.op("avg_pool", {"input": left}, kernel=shape[:2]))
        found.append(maker.op("avg_pool", {"input": maker.fresh(U8, *shape)}, kernel=shape[:2]))
        found.append(maker.op("mul", {"left": left, "right": gates}, storage(ElementType.I8, 0.043, -3)))
        found.append(
            maker.op("add", {"left": left, "right": maker.fresh(I8, *shape)}, storage(ElementType.I8, 0.07, 2))
        )
    found.append(
        maker.op(
            "lookup", {"input": maker.fresh(U8, 5, 5, 20), "table": maker.held(draw(0, 256, 256).astype(np.uint8))}, U8
        )
    )
    return found


def module_of(build: Callable[[QuantizedMaker], list[Value]]) -> Module:
    maker = QuantizedMaker("bytes", seed=5)
    for number, value in enumerate(build(maker)):
        maker.output(value, f"{number}: {value.producer.opcode if value.producer else 'input'} {value.type}")
    return maker.module


def test_layers_have_the_interpreters_bits_on_kernels_of_bytes() -> None:
    module = module_of(layers)
    inputs = inputs_of(module, batch=4)
    for array in inputs.values():
        limits = np.iinfo(array.dtype)
        array[2], array[3] = limits.min, limits.max
    expected = run(module, inputs)
    runner = IreeRunner(module, "iree-cpu")
    results = runner.run(inputs)
    assert {
        name: int((results[name] != array).sum()) for name, array in expected.items() if (results[name] != array).any()
    } == {}


def roads(module: Module) -> Emitted:
    return emit(module, isa=isa_of(TARGETS["iree-cpu"]))


def test_each_layer_says_its_road() -> None:
    reasons = [road.reason for road in roads(module_of(layers)).roads if road.kernel is None]
    assert reasons == []


def test_what_has_no_kernel_of_bytes_says_why() -> None:
    def build(m: QuantizedMaker) -> list[Value]:
        dilated = m.layer("conv2d", m.fresh(I8, 9, 9, 3), (3, 3, 3, 4), I8, plain=True, dilations=(2, 2))
        several = m.layer("depthwise_conv2d", m.fresh(I8, 9, 9, 3), (3, 3, 3, 2), I8, plain=True)
        return [dilated, several]

    reasons = [road.reason for road in roads(module_of(build)).roads]
    assert reasons == [
        "its window is dilated",
        "each of its channels has 2 kernels",
    ]


def test_processors_without_products_of_bytes_take_linalg() -> None:
    isa = isa_of(TARGETS["iree-cpu"])
    assert isa is not None
    found = emit(module_of(layers), isa=replace(isa, bytes=None)).roads
    assert {road.reason for road in found} == {"the target has no products of bytes"}


def test_the_same_network_gives_the_same_text() -> None:
    assert roads(module_of(layers)).text == roads(module_of(layers)).text
