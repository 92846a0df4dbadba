"""Kernels for Helium: the interpreter's bits, by the twins on a host and by the assembly in QEMU."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.backends.c.quantized.helium.pointwise import groups_of
from mnetdsl.ir.core import Module
from mnetdsl.targets import CORES
from tests.backends.c.quantized.layers import Layers, different_in_qemu, different_on_host

HELIUM = Options(core=CORES["cortex-m55"])
KINDS = (("relu", 1.0), ("none", 1.0), ("relu6", 1.0), ("none", 400.0))
"""Activation and gain of layers whose results are clamped in one of the ways that kernels know."""
POINTWISE = [
    ((1, 1, 4), (4,)),
    ((3, 3, 8), (16, 20, 64)),
    ((5, 4, 8), (16, 8)),
    ((2, 5, 12), (8, 40)),
    ((7, 7, 64), (24, 96)),
    ((1, 2, 148), (4, 336)),
    ((1, 3, 208), (8,)),
    ((2, 2, 260), (4,)),
]
DEPTHWISE = [
    ((12, 12, 16), 3, 1, (1, 1, 1, 1)),
    ((7, 7, 8), 3, 1, (1, 1, 1, 1)),
    ((6, 6, 20), 3, 1, (1, 1, 1, 1)),
    ((5, 13, 36), 3, 1, (0, 0, 0, 0)),
    ((8, 16, 16), 3, 2, (0, 1, 0, 1)),
    ((9, 19, 4), 3, 2, (1, 1, 1, 1)),
    ((3, 3, 32), 3, 2, (1, 1, 1, 1)),
    ((12, 12, 16), 5, 1, (2, 2, 2, 2)),
    ((7, 7, 20), 5, 1, (2, 2, 2, 2)),
    ((10, 6, 4), 5, 1, (0, 1, 2, 1)),
    ((16, 16, 16), 5, 2, (1, 2, 1, 2)),
    ((9, 21, 36), 5, 2, (2, 2, 2, 2)),
]
"""Shape, size of the filter, stride, padding."""
CONVOLUTIONS = [
    ((9, 9, 3), (3, 3, 8), (2, 2), (0, 1, 0, 1)),
    ((8, 7, 1), (3, 3, 4), (2, 2), (1, 1, 1, 1)),
    ((7, 9, 4), (3, 3, 8), (1, 1), (1, 1, 1, 1)),
    ((5, 6, 1), (3, 2, 4), (1, 1), (1, 0, 1, 0)),
    ((6, 9, 5), (5, 3, 12), (1, 2), (2, 2, 0, 1)),
    ((4, 4, 24), (2, 2, 8), (2, 2), (0, 0, 0, 0)),
    ((5, 5, 16), (1, 1, 8), (2, 2), (0, 0, 0, 0)),
]

NAMES = ("pointwise", "window", "conv2d", "depthwise", "copy", "add", "sub", "mul", "lookup", "mean", "average")


def networks(seed: int) -> Layers:
    """Chains of pointwise layers, so that results lie over inputs, and other layers of many sizes."""
    layers = Layers(seed)
    kind = seed
    for (height, width, channels), outputs in POINTWISE:
        x = layers.input(height, width, channels)
        for count in outputs:
            activation, gain = KINDS[kind % len(KINDS)]
            x = layers.weighted("conv2d", x, (1, 1, x.type.shape[3], count), activation, gain)
            kind += 1
        layers.output(x)
    for shape, size, stride, padding in DEPTHWISE:
        x = layers.input(*shape)
        # The first one may write over the layer before it.
        for step, sides in ((1, (size // 2,) * 4), (stride, padding)):
            activation, gain = KINDS[kind % len(KINDS)]
            filter = (size, size, shape[2], 1)
            x = layers.weighted("depthwise_conv2d", x, filter, activation, gain, strides=(step, step), padding=sides)
            kind += 1
        layers.output(x)
    for shape, (height, width, count), strides, padding in CONVOLUTIONS:
        activation, gain = KINDS[kind % len(KINDS)]
        x = layers.input(*shape)
        filter = (height, width, shape[2], count)
        layers.output(layers.weighted("conv2d", x, filter, activation, gain, strides=strides, padding=padding))
        kind += 1
    for count in (4, 1001):
        x = layers.input(1, 1, 20)
        activation, gain = KINDS[kind % len(KINDS)]
        layers.output(layers.weighted("conv2d", x, (1, 1, 20, count), activation, gain))
        kind += 1
    layers.output(layers.weighted("dense", layers.input(160), (160, 10)))
    left, right, gates = layers.input(3, 5, 7), layers.input(3, 5, 7), layers.input(1, 1, 7)
    for opcode, other in (("add", right), ("sub", right), ("mul", right), ("mul", gates)):
        left = layers.op(opcode, {"left": left, "right": other}, layers.storage(), activation="none")
        layers.output(left)
    for shape in ((7, 7, 20), (17, 17, 40), (1, 1, 16)):
        layers.output(layers.op("global_avg_pool", {"input": layers.input(*shape)}, layers.storage()))
    for shape in ((3, 3, 20), (17, 17, 35)):
        x = layers.input(*shape)
        kernel = {"kernel": shape[:2], "strides": (1, 1), "padding": (0, 0, 0, 0)}
        storage = x.type.storage
        layers.output(layers.op("avg_pool", {"input": x}, storage, **kernel))
    x = layers.input(5, 7, 3)
    entries = layers.constant("entries", layers.random.integers(-128, 128, 256).astype(np.int8))
    layers.output(layers.op("lookup", {"input": x, "table": entries}, layers.storage()))
    return layers


def functions(module: Module) -> set[str]:
    """Kernels that are called, without what names their sizes."""
    calls = (call for layer in generate(module, options=HELIUM).program.layers for call in layer.calls)
    return {"_".join(call.function.split("_")[:2]) for call in calls}


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_the_twins_give_the_interpreters_bits(seed: int) -> None:
    layers = networks(seed)
    assert different_on_host(layers, HELIUM) == []
    assert functions(layers.module) == {f"helium_{name}" for name in NAMES}


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_the_assembly_gives_the_interpreters_bits(seed: int) -> None:
    assert different_in_qemu(networks(seed), "cortex-m55") == []


@pytest.mark.parametrize("pixels", range(1, 40))
def test_groups_cover_every_pixel_once(pixels: int) -> None:
    found = groups_of(pixels)
    assert sum(groups.count * groups.pixels for groups in found) == pixels
    assert all(groups.pixels <= groups.lanes for groups in found)
