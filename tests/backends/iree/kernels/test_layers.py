"""Own kernels of random layers compute what the interpreter computes, on every row of the table of instruction sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import mnetdsl
from mnetdsl.backends.iree import emission
from mnetdsl.backends.iree.compiler import compile_mlir
from mnetdsl.backends.iree.kernels import chains
from mnetdsl.backends.iree.kernels.isa import ISAS, Isa
from mnetdsl.backends.iree.kernels.machine import isa_of
from mnetdsl.backends.iree.kernels.roads import Road
from mnetdsl.backends.iree.session import Session
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.types import ElementType
from tests.backends.iree.cases.maker import CaseMaker
from tests.backends.iree.harness import Array, inputs_of

TOLERANCE = 1e-5
"""Of a layer's largest magnitude, as in tests/backends/iree/test_operations.py."""
ACTIVATIONS = ("none", "relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "silu", "gelu", "tanh")
IDS = [isa.name for isa in ISAS]


def results_of(
    module: Module, isa: Isa | None, inputs: dict[str, Array], threads: int | None = None
) -> tuple[dict[str, Array], tuple[Road, ...]]:
    """All outputs, on this processor: the kernels of any row run on any processor, only not at their best."""
    target = TARGETS["iree-cpu"]
    emitted = emission.emit(module, isa=isa, threads=threads)
    session = Session(compile_mlir(emitted.text, module.name, target), emission.FUNCTION, target.driver)
    ports = module.graph.outputs
    wanted = [(port.value.type.shape, port.value.type.element.dtype) for port in ports]
    arrays = session.call([inputs[port.name] for port in module.graph.inputs], wanted)
    return {port.name: array for port, array in zip(ports, arrays, strict=True)}, emitted.roads


def wrong_outputs(module: Module, isa: Isa, threads: int | None = None) -> tuple[dict[str, float], tuple[Road, ...]]:
    """Outputs that differ from the interpreter's, with the difference, and the roads."""
    inputs = inputs_of(module, 1)
    results, roads = results_of(module, isa, inputs, threads)
    wrong = {}
    for name, expected in run(module, inputs).items():
        error = float(np.abs(results[name] - expected).max() / max(float(np.abs(expected).max()), 1e-30))
        if not error <= TOLERANCE:
            wrong[name] = error
    return wrong, roads


def random_layers(seed: int, count: int) -> Module:
    """Filters of all kinds, odd sizes, channels that fill no vector, each with an input and an output of its own."""
    maker, random = CaseMaker(f"layers{seed}", seed), np.random.default_rng(seed)
    for index in range(count):
        height, width = (int(size) for size in random.integers(1, 19, 2))
        channels = int(random.integers(1, 70))
        outputs = int(random.integers(1, 150))
        kernel = int(random.choice([1, 3, 5, 7]))
        stride = int(random.integers(1, 3))
        top, left = (int(size) for size in random.integers(0, kernel // 2 + 1, 2))
        bottom = max(kernel - height - top, int(random.integers(0, kernel // 2 + 1)))
        right = max(kernel - width - left, int(random.integers(0, kernel // 2 + 1)))
        common = {"activation": str(ACTIVATIONS[index % len(ACTIVATIONS)])}
        window = {"strides": (stride, stride), "padding": (top, bottom, left, right)}
        kind = index % 4
        result: Value
        if kind == 0:
            operands = {"input": maker.fresh(height, width, channels), "filter": maker.weights(1, 1, channels, outputs)}
            if index % 8:
                operands |= {"bias": maker.weights(outputs), "residual": maker.fresh(height, width, outputs)}
            result = maker.op("conv2d", operands, **common)
        elif kind == 1:
            operands = {
                "input": maker.fresh(height, width, channels),
                "filter": maker.weights(kernel, kernel, channels, 1),
                "bias": maker.weights(channels),
            }
            result = maker.op("depthwise_conv2d", operands, **common, **window)
        elif kind == 2:
            depth = int(random.choice([1, 3, 4, 17]))
            operands = {
                "input": maker.fresh(height, width, depth),
                "filter": maker.weights(kernel, kernel, depth, outputs),
            }
            result = maker.op("conv2d", operands, **common, **window)
        else:
            operands = {"input": maker.fresh(channels), "filter": maker.weights(channels, outputs)}
            result = maker.op("dense", operands | {"bias": maker.weights(outputs)}, **common)
        maker.output(result, f"{index}_{result.producer.opcode if result.producer else ''}")
    return maker.module


@pytest.mark.parametrize("isa", ISAS, ids=IDS)
def test_random_filters_agree_with_the_interpreter(isa: Isa) -> None:
    wrong, roads = wrong_outputs(random_layers(seed=ISAS.index(isa), count=24), isa)
    assert wrong == {}
    assert all(road.kernel is not None for road in roads)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 22))
def test_many_random_filters_agree_with_the_interpreter(seed: int) -> None:
    wrong, _ = wrong_outputs(random_layers(seed, count=48), ISAS[seed % len(ISAS)])
    assert wrong == {}


def elementwise_layers() -> Module:
    """Maps and vectors whose channels fill no vector, one layer behind the other, and each other's operand."""
    maker = CaseMaker("elementwise")
    image = maker.fresh(5, 7, 21)
    gates = maker.op("hard_sigmoid", {"input": maker.fresh(1, 1, 21)})
    scaled = maker.op("mul", {"left": gates, "right": image})
    maker.output(scaled, "scaled")
    maker.output(maker.op("add", {"left": scaled, "right": image}, activation="relu"), "sum")
    maker.output(maker.op("mul", {"left": image, "right": maker.weights(1, 1, 1, 21)}), "constant")
    mean = maker.op("global_avg_pool", {"input": scaled})
    maker.output(maker.op("reshape", {"input": mean}, shape=(1, 1, 21)), "mean")
    maker.output(maker.op("tanh", {"input": image}), "tanh")
    maker.output(maker.op("reshape", {"input": maker.op("relu", {"input": image})}, shape=(35, 21)), "tokens")
    return maker.module


@pytest.mark.parametrize("isa", ISAS, ids=IDS)
def test_elementwise_layers_pools_and_reshapes_agree(isa: Isa) -> None:
    wrong, roads = wrong_outputs(elementwise_layers(), isa)
    assert wrong == {}
    assert all(road.kernel is not None for road in roads)


def test_layers_without_own_kernel_take_linalg_between_those_that_have_one() -> None:
    maker = CaseMaker("mixed")
    x = maker.op("normalize", {"input": maker.fresh(9, 9, 3, element=ElementType.U8)}, mean=(127.5,), std=(127.5,))
    x = maker.op("conv2d", {"input": x, "filter": maker.weights(3, 3, 3, 20)}, activation="relu", padding=(1, 1, 1, 1))
    x = maker.op("conv2d", {"input": x, "filter": maker.weights(3, 3, 20, 18)}, dilations=(2, 2))
    x = maker.op("depthwise_conv2d", {"input": x, "filter": maker.weights(3, 3, 18, 2)})
    x = maker.op("max_pool", {"input": x}, kernel=(2, 2), strides=(1, 1))
    x = maker.op("conv2d", {"input": x, "filter": maker.weights(1, 1, 36, 10)})
    x = maker.op("reshape", {"input": x}, shape=(40,))
    maker.output(maker.op("dense", {"input": x, "filter": maker.weights(40, 5)}), "logits")
    wrong, roads = wrong_outputs(maker.module, ISAS[0])
    assert wrong == {}
    linalg = {road.opcode: road.reason for road in roads if road.kernel is None}
    assert list(linalg) == ["conv2d", "depthwise_conv2d"]
    assert linalg["conv2d"] == "its window is dilated"
    assert linalg["depthwise_conv2d"] == "each of its channels has 2 kernels"


def bottleneck(height: int, stride: int, kernel: int, residual: bool) -> Module:
    """A stem, an inverted residual behind it, and one more depthwise layer."""
    maker = CaseMaker(f"bottleneck_{height}_{stride}_{kernel}_{residual}")
    half = kernel // 2
    image = maker.fresh(height, height + 3, 3)
    x = maker.op(
        "conv2d",
        {"input": image, "filter": maker.weights(3, 3, 3, 20)},
        strides=(2, 2),
        padding=(0, 1, 1, 1),
        activation="relu6",
    )
    start = x
    x = maker.op("conv2d", {"input": x, "filter": maker.weights(1, 1, 20, 37)}, activation="relu6")
    x = maker.op(
        "depthwise_conv2d",
        {"input": x, "filter": maker.weights(kernel, kernel, 37, 1), "bias": maker.weights(37)},
        strides=(stride, stride),
        padding=(half, half, half, half),
        activation="hard_swish",
    )
    operands = {"input": x, "filter": maker.weights(1, 1, 37, 20)}
    if residual:
        operands["residual"] = start
    x = maker.op("conv2d", operands)
    if not residual:
        x = maker.op("depthwise_conv2d", {"input": x, "filter": maker.weights(3, 3, 20, 1)}, padding=(1, 1, 1, 1))
    maker.output(x, "result")
    return maker.module


@pytest.mark.parametrize(
    ("height", "stride", "kernel", "residual", "chain"),
    [(31, 1, 3, True, 3), (30, 2, 5, False, 4), (9, 2, 3, False, 5), (5, 1, 7, True, 3), (47, 2, 7, False, 4)],
)
def test_chains_agree_with_the_interpreter(
    height: int, stride: int, kernel: int, residual: bool, chain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "TRAVEL", 1e6)  # so that chains are worth any halo
    isa = replace(ISAS[height % len(ISAS)], cache=0)
    wrong, roads = wrong_outputs(bottleneck(height, stride, kernel, residual), isa)
    assert wrong == {}
    assert max(len(road.joined) for road in roads) >= chain


@pytest.mark.parametrize("threads", [1, 2, 3, 40])
def test_chains_agree_however_many_bands_they_have(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "TRAVEL", 1e6)
    wrong, roads = wrong_outputs(bottleneck(31, 1, 5, residual=True), replace(ISAS[0], cache=0), threads)
    assert wrong == {}
    assert any(road.joined for road in roads)


def wide_layers(projected: bool) -> Module:
    """Pointwise layers with a depthwise one behind them, maybe with a projection behind that, whose weights are too
    many to be read again for each row."""
    maker = CaseMaker("wide")
    for index, (height, width, channels, kernel, stride) in enumerate(
        [(7, 9, 270, 5, 2), (14, 14, 192, 3, 1), (3, 4, 330, 5, 1), (15, 13, 150, 3, 2)]
    ):
        half = kernel // 2
        depth = 80_000 // channels
        operands = {"input": maker.fresh(height, width, depth), "filter": maker.weights(1, 1, depth, channels)}
        if index % 2:
            operands["bias"] = maker.weights(channels)
        x = maker.op("conv2d", operands, activation="relu6")
        taps = {"input": x, "filter": maker.weights(kernel, kernel, channels, 1), "bias": maker.weights(channels)}
        x = maker.op(
            "depthwise_conv2d", taps, strides=(stride, stride), padding=(half, half, half, 0), activation="hard_swish"
        )
        if projected:
            count = (21, 64, 1, 33)[index]
            operands = {"input": x, "filter": maker.weights(1, 1, channels, count), "bias": maker.weights(count)}
            if index % 2:
                operands["residual"] = maker.fresh(*x.type.shape[1:3], count)
            x = maker.op("conv2d", operands, activation=("none", "relu")[index // 2])
        maker.output(x, f"{index}")
    return maker.module


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("isa", ISAS, ids=IDS)
def test_slices_agree_with_the_interpreter(isa: Isa, threads: int, projected: bool) -> None:
    wrong, roads = wrong_outputs(wide_layers(projected), isa, threads)
    assert wrong == {}
    count = 3 if projected else 2
    sliced = [road for road in roads if road.kernel is not None and road.kernel.startswith(f"slices_of_{count}")]
    assert [len(road.joined) for road in sliced] == [count] * (4 * count)


def test_a_map_that_is_a_result_is_not_sliced_away() -> None:
    module = wide_layers(projected=False)
    first = next(op for op in module.graph.operations if op.opcode == "conv2d")
    emitted = emission.emit(module, observe=[first.name], isa=ISAS[0], threads=2)
    assert [road.joined for road in emitted.roads if road.location.name == first.name] == [()]


def test_roads_keep_the_graphs_order_where_others_stand_between_joined_layers() -> None:
    maker = CaseMaker("between")
    x = maker.op("conv2d", {"input": maker.fresh(14, 14, 416), "filter": maker.weights(1, 1, 416, 192)})
    maker.output(maker.op("tanh", {"input": maker.fresh(14, 14, 192)}), "between")
    x = maker.op("depthwise_conv2d", {"input": x, "filter": maker.weights(3, 3, 192, 1)}, padding=(1, 1, 1, 1))
    maker.output(x, "joined")
    roads = emission.emit(maker.module, isa=ISAS[0], threads=2).roads
    assert [road.opcode for road in roads] == ["conv2d", "tanh", "depthwise_conv2d"]
    assert [len(road.joined) for road in roads] == [2, 0, 2]


def joins(network: str, threads: int | None) -> list[str]:
    module = mnetdsl.load(network).with_weights("random:1").optimized()
    roads = emission.emit(module, isa=ISAS[0], threads=threads).roads
    return [road.kernel for road in roads if road.kernel is not None and road.joined]


def test_two_threads_join_layers_that_one_leaves_alone() -> None:
    alone, together = joins("mobilenet_v2", 1), joins("mobilenet_v2", 2)
    assert len(alone) < len(together)
    assert not any(kernel.startswith("slices") for kernel in alone)
    assert any(kernel.startswith("chain") for kernel in together)
    assert any(kernel.startswith("slices") for kernel in together)


def test_many_threads_slice_small_maps_rather_than_band_them() -> None:
    assert all(kernel.startswith("slices") for kernel in joins("mobilenet_v1", 8)[-8:])


def test_maps_that_fit_the_cache_are_not_chained() -> None:
    _, roads = wrong_outputs(bottleneck(31, 1, 3, residual=True), ISAS[0])
    assert not any(road.joined for road in roads)


def test_this_processor_is_recognized() -> None:
    assert isa_of(TARGETS["iree-vulkan"]) is None
    isa = isa_of(TARGETS["iree-cpu"])
    assert isa is None or replace(isa, bytes=None) in ISAS
