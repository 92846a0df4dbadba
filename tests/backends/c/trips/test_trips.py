"""Turns of loops, counted from the calls as they are emitted."""

from __future__ import annotations

import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.backends.c.ops.window import Window
from mnetdsl.backends.c.trips.site import Taps, taps_of
from mnetdsl.cost.instructions import Work
from mnetdsl.targets import CORES
from tests.backends.c.quantized.test_networks import I8, quantized


def works(network: str, core: str, **parameters: float) -> dict[str, tuple[Work, ...]]:
    module = quantized(network, I8, **parameters)
    package = generate(module, options=Options(core=CORES[core]))
    layers = zip(package.program.layers, package.costs, strict=True)
    return {layer.name: tuple(cost.work for cost in costs) for layer, costs in layers}


def test_taps_beside_the_map_are_not_counted() -> None:
    window = Window((1, 4, 4, 8), (1, 4, 4, 8), (3, 3), padding=(1, 1, 1, 1))
    # Along an axis: 2, 3, 3, 2 of three taps.
    assert taps_of(window) == Taps(pixels=16, inside=4, taps=100, lines=40)


def test_taps_of_a_strided_window_with_padding_at_one_end() -> None:
    window = Window((1, 6, 6, 8), (1, 3, 3, 8), (3, 3), (2, 2), padding=(0, 1, 0, 1))
    assert taps_of(window) == Taps(pixels=9, inside=4, taps=64, lines=24)


def test_a_portable_layer_is_counted_by_panels_and_what_is_left_of_one() -> None:
    found = works("mobilenet_v2", "cortex-m3", alpha=0.35, resolution=64, classes=10)
    # 8x8 pixels, 48 inputs, 16 outputs: one panel; 16x16 pixels, 48 inputs, 8 outputs: two turns of four.
    _, whole = found["body.3.project.conv"]
    _, part = found["body.1.project.conv"]
    assert (whole.sizes[0], whole.sizes[2]) == (64 * 48, 0)
    assert (part.sizes[0], part.sizes[2], part.sizes[3]) == (0, 256 * 48, 2 * 256 * 48)


def test_pixels_behind_the_last_three_are_units_of_their_own() -> None:
    found = works("mobilenet_v2", "cortex-m4", alpha=0.35, resolution=64, classes=10)
    _, call = found["body.13.project.conv"]
    # 2x2 pixels, 192 inputs in 48 blocks, 56 outputs in pairs: one unit of three, one of one.
    assert call.keys[0] == "dsp_pointwise exact"
    assert call.sizes[0] == 2 * 28 * 48


@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("network", ["mobilenet_v2", "mobilenet_v3_small"])
def test_every_layer_says_what_it_asks_of_its_kernels(network: str, core: str) -> None:
    found = works(network, core, resolution=64, classes=10)
    assert all(len(calls) > 1 or name.startswith("output") for name, calls in found.items())
    assert all(size >= 0 for calls in found.values() for call in calls for size in call.sizes)
