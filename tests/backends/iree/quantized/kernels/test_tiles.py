"""Layers of bytes on AMX have the interpreter's bits, and go another way where the processor has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnetdsl.backends.iree.emission import emit
from mnetdsl.backends.iree.kernels.chains import chaining_for
from mnetdsl.backends.iree.kernels.isa import Isa, choose_bytes
from mnetdsl.backends.iree.kernels.machine import features_of, isa_of
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.quantized.kernels.finish import Finish
from mnetdsl.backends.iree.quantized.kernels.tiles import ByteTiles, tile_order, tile_weights
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.types import ElementType
from tests.backends.iree.quantized.cases import I8, U8, QuantizedMaker, storage
from tests.backends.iree.quantized.kernels.test_isas import wrong
from tests.backends.iree.quantized.kernels.test_layers import module_of

RELU = storage(ElementType.I8, 0.02, -128)
DULL = storage(ElementType.I8, 0.011, 17)
AMX = frozenset({"amx-tile", "amx-int8"})


def pointwise(maker: QuantizedMaker) -> list[Value]:
    """Pixels that fill tiles and that do not, depths below, at and above a step, channels of one and of two vectors."""
    shapes = [
        (4, 4, 16, 16),
        (7, 7, 64, 33),
        (14, 14, 80, 96),
        (5, 13, 130, 48),
        (28, 28, 33, 24),
        (1, 17, 200, 100),
        (30, 29, 3, 8),
        (9, 9, 64, 160),
    ]
    found = []
    for number, (height, width, depth, channels) in enumerate(shapes):
        stored = (I8, RELU, DULL)[number % 3]
        activation = ("none", "relu", "relu6")[number % 3]
        source = maker.fresh(I8, height, width, depth)
        taps = (1, 1, depth, channels)
        found.append(maker.layer("conv2d", source, taps, stored, plain=True, activation=activation))
    return found


def windows(maker: QuantizedMaker) -> list[Value]:
    """Kernels, strides, margins, rows of one tile, of parts of one and of several."""
    cases: list[tuple[tuple[int, int, int], tuple[int, int], int, int, tuple[int, int, int, int]]] = [
        ((9, 9, 32), (3, 3), 2, 40, (0, 1, 0, 1)),
        ((12, 37, 16), (3, 3), 1, 16, (1, 1, 1, 1)),
        ((8, 20, 48), (5, 5), 1, 33, (2, 2, 2, 2)),
        ((14, 14, 96), (1, 1), 2, 64, (0, 0, 0, 0)),
        ((7, 9, 17), (2, 3), 1, 7, (1, 0, 0, 2)),
    ]
    found = []
    for number, (shape, kernel, stride, channels, margins) in enumerate(cases):
        stored, activation = ((RELU, "relu"), (DULL, "none"))[number % 2]
        attributes: dict[str, Any] = {"strides": (stride, stride), "padding": margins, "activation": activation}
        taps = (*kernel, shape[2], channels)
        found.append(maker.layer("conv2d", maker.fresh(I8, *shape), taps, stored, plain=True, **attributes))
    return found


def layers(maker: QuantizedMaker) -> list[Value]:
    return pointwise(maker) + windows(maker)


def own_isa() -> Isa:
    isa = isa_of(TARGETS["iree-cpu"])
    if isa is None or isa.bytes is None or not isa.bytes.tiles:
        pytest.skip("this processor has no AMX for bytes")
    return isa


def kernels(module: Module, isa: Isa) -> list[str]:
    return [(road.kernel or road.reason).split("_")[1] for road in emit(module, isa=isa).roads]


def test_layers_have_the_interpreters_bits_on_any_numbers_and_on_the_ends_of_their_range() -> None:
    isa, module = own_isa(), module_of(layers)
    assert set(kernels(module, isa)) == {"tiles"}
    assert set(wrong(module, "iree-cpu", batch=4).values()) == {0}


def test_without_amx_the_same_layers_run_by_vectors() -> None:
    isa = own_isa()
    assert isa.bytes is not None
    without = replace(isa, bytes=replace(isa.bytes, tiles=False))
    assert set(kernels(module_of(layers), without)) == {"pointwise", "convolution"}


def test_the_features_of_the_target_decide() -> None:
    features = features_of(TARGETS["iree-cpu:x86-64-v4"].flags) | {"avx512vnni"}
    for lacking, tiles in ((frozenset[str](), True), ({"amx-int8"}, False), ({"avx512vnni"}, False)):
        found = choose_bytes((features | AMX) - lacking)
        assert found is not None
        assert found.tiles == tiles


def test_few_pixels_and_filters_of_nine_bits_run_by_vectors() -> None:
    def build(maker: QuantizedMaker) -> list[Value]:
        return [
            maker.layer("conv2d", maker.fresh(I8, 3, 3, 64), (1, 1, 64, 32), I8, plain=True),
            maker.layer("dense", maker.fresh(I8, 64), (64, 32), I8, plain=True),
            maker.layer("conv2d", maker.fresh(U8, 6, 7, 21), (1, 1, 21, 40), U8, scales=1),
        ]

    assert set(kernels(module_of(build), own_isa())) == {"pointwise"}


@given(st.integers(1, 3), st.integers(4, 40), st.integers(1, 10))
def test_steps_take_each_weight_once(height: int, quads: int, vectors: int) -> None:
    run, channels = 4 * quads, 16 * vectors
    taps = np.random.default_rng(quads).integers(-127, 128, (height, run, channels))
    step = min(run, 64)
    packed = tile_weights(taps, step).astype(np.int64)
    pixels = np.random.default_rng(vectors).integers(0, 256, (height, run))
    sums, at = [], 0
    for first in range(0, vectors, 2):
        width = min(2, vectors - first)
        panel = np.zeros((width, 16), np.int64)
        for row in range(height):
            for k in range(-(-run // 64)):
                start = min(64 * k, run - step)
                for vector in range(width):
                    tile = packed[at : at + step * 16].reshape(step // 4, 16, 4)
                    panel[vector] += np.einsum("kq,knq->n", pixels[row, start : start + step].reshape(-1, 4), tile)
                    at += step * 16
        sums.append(panel.reshape(-1))
    assert at == len(packed)
    expected = np.einsum("hk,hkn->n", pixels, taps)[tile_order(channels)]
    np.testing.assert_array_equal(np.concatenate(sums), expected)


@given(st.integers(2, 2000))
def test_tiles_of_a_row_cover_it_and_stay_inside(pixels: int) -> None:
    kernel = ByteTiles(Window((1, pixels), (1, 1), (1, 1), (0, 0, 0, 0)), 64, 32, pixels * 64, Finish(0, 255, False))
    assert 1 <= kernel.rows <= 16
    blocks = -(-pixels // (2 * kernel.rows))
    assert kernel.rows * 2 * blocks >= pixels
    assert kernel.rows <= pixels


def test_one_thread_sets_up_tiles_once_a_layer() -> None:
    groups = [chaining_for(threads).workgroups for threads in (1, 2, None)]
    assert groups[0] == 1 < groups[1] < groups[2]
    window = Window((1, 784), (1, 1), (1, 1), (0, 0, 0, 0))
    kernels = [ByteTiles(window, 64, 320, 784 * 64, Finish(0, 255, False), count) for count in groups]
    first, *others = [kernel.grid[0] * kernel.grid[1] for kernel in kernels]
    assert first == 1 < min(others)
