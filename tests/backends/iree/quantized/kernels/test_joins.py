"""Joined layers of bytes have the interpreter's bits, however they are cut, and are joined where that pays."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mnetdsl
from mnetdsl.backends.iree.emission import emit
from mnetdsl.backends.iree.kernels.chains import chaining_for
from mnetdsl.backends.iree.kernels.isa import BYTE_ISAS
from mnetdsl.backends.iree.kernels.machine import features_of, isa_of
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.package import generate
from mnetdsl.backends.iree.processor import lacking, recorded
from mnetdsl.backends.iree.quantized.kernels import joins
from mnetdsl.backends.iree.quantized.kernels.chain import ByteChain, ByteStage, band_rows
from mnetdsl.backends.iree.quantized.kernels.sums import ByteSum, SumForm
from mnetdsl.backends.iree.runner import PackageRunner
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.types import ElementType
from mnetdsl.passes.pipelines import optimize
from tests.backends.iree.harness import inputs_of
from tests.backends.iree.quantized.cases import I8, QuantizedMaker, storage
from tests.backends.iree.quantized.kernels.test_isas import ARM, X86, target_of
from tests.backends.iree.quantized.kernels.test_layers import GATE, module_of

SUM = storage(ElementType.I8, 0.07, 2)
DULL = storage(ElementType.I8, 0.011, 17)
EAGER = joins.Costs(dispatch=1e9)
"""Joins whatever can be."""
KINDS = ("pointwise", "depthwise", "conv2d", "add", "mul", "lookup")


def line(maker: QuantizedMaker, kinds: list[str], height: int, width: int, depth: int) -> Value:
    """Layers one behind the other, with windows, strides, margins and channels drawn by `maker`. Sums and products take
    another map, on the left or on the right; the first sum behind the first layer takes the line's own input."""
    draw = maker.random.integers
    first = value = maker.fresh(I8, height, width, depth)
    for kind in kinds:
        _, height, width, depth = value.type.shape if len(value.type.shape) == 4 else (1, 1, 1, value.type.shape[-1])
        plain: dict[str, Any] = {"plain": True, "activation": ("none", "relu", "relu6")[draw(3)]}
        if kind == "pointwise":
            value = maker.layer("conv2d", value, (1, 1, depth, int(draw(1, 50))), (I8, DULL)[draw(2)], **plain)
        elif kind == "back":
            value = maker.layer("conv2d", value, (1, 1, depth, first.type.shape[-1]), I8, **plain)
        elif kind in ("depthwise", "conv2d"):
            kernel, stride = int(draw(1, 4)) * 2 - 1, int(draw(1, 3))
            margins = [int(draw(0, kernel // 2 + 1)) for _ in range(4)]
            margins[1], margins[3] = margins[1] + max(0, kernel - height), margins[3] + max(0, kernel - width)
            filter = (kernel, kernel, depth, 1 if kind == "depthwise" else int(draw(1, 50)))
            opcode = "depthwise_conv2d" if kind == "depthwise" else "conv2d"
            value = maker.layer(opcode, value, filter, I8, strides=(stride, stride), padding=(*margins,), **plain)
        elif kind == "same":
            around = (1, 1, 1, 1)
            value = maker.layer("depthwise_conv2d", value, (3, 3, depth, 1), I8, padding=around, **plain)
        elif kind == "add":
            residual = first.type.shape == value.type.shape and first is not value
            pair = [value, first if residual else maker.fresh(I8, height, width, depth)]
            order = 1 if draw(2) else -1
            value = maker.op("add", dict(zip(("left", "right"), pair[::order], strict=True)), SUM)
        elif kind == "reshape":
            value = maker.op("reshape", {"input": value}, shape=(value.type.shape[-1],))
        elif kind == "dense":
            depth = value.type.shape[-1]
            value = maker.layer("dense", value, (depth, int(draw(1, 50))), I8, plain=True)
        elif kind == "mul":
            gates = maker.fresh(GATE, 1, 1, depth)
            value = maker.op("mul", {"left": value, "right": gates}, storage(ElementType.I8, 0.043, -3))
        elif kind == "lookup":
            entries = draw(-128, 128, 256).astype(np.int8)
            value = maker.op("lookup", {"input": value, "table": maker.held(entries)}, I8)
        else:
            value = maker.op(kind, {"input": value}, storage(ElementType.I8, 0.041, 5))
    return value


def lines(maker: QuantizedMaker) -> list[Value]:
    """An inverted residual on a map of an even and of an odd height, a stem, means, and lines drawn at random."""
    draw = maker.random.integers
    block = ["pointwise", "same", "back", "add"]
    found = [
        line(maker, block, 14, 14, 24),
        line(maker, ["pointwise", "lookup", "same", "lookup", "mul", "back", "add"], 7, 9, 40),
        line(maker, ["conv2d", "depthwise", "pointwise"], 17, 12, 3),
        line(maker, ["depthwise", "pointwise", "global_avg_pool"], 9, 7, 33),
        line(maker, ["same", "same", "same", "same"], 11, 5, 20),
        line(maker, ["pointwise", "depthwise"], 1, 6, 8),
        line(maker, ["pointwise", "conv2d", "conv2d", "depthwise"], 12, 13, 32),
        line(maker, ["lookup", "conv2d", "conv2d"], 10, 16, 3),
        line(maker, ["depthwise", "global_avg_pool", "reshape", "dense", "dense", "lookup"], 6, 5, 24),
    ]
    # Gates that are renamed are another line's.
    vector = line(maker, ["reshape", "dense"], 1, 1, 12)
    channels = vector.type.shape[-1]
    gates = maker.op("reshape", {"input": vector}, shape=(1, 1, channels))
    map = line(maker, ["depthwise"], 9, 9, channels)
    found.append(maker.op("mul", {"left": map, "right": gates}, storage(ElementType.I8, 0.043, -3)))
    for _ in range(4):
        kinds = [KINDS[draw(len(KINDS))] for _ in range(draw(2, 6))]
        found.append(line(maker, kinds, int(draw(2, 20)), int(draw(2, 20)), int(draw(1, 40))))
    return found


def wrong(module: Module, target: str, threads: int, observe: tuple[str, ...] = ()) -> dict[str, int]:
    """How many numbers of an output or a layer of `observe` differ; the last two of four inputs are the ends of their
    range."""
    inputs = inputs_of(module, batch=4)
    for array in inputs.values():
        limits = np.iinfo(array.dtype)
        array[2], array[3] = limits.min, limits.max
    expected: dict[str, Any] = {}

    def seen(op: Op, array: np.ndarray) -> None:
        if op.name in observe:
            expected[op.name] = array

    expected.update(run(module, inputs, observe=seen))
    results = PackageRunner(generate(module, "joined", target, observe, threads=threads)).run(inputs)
    return {name: int((results[name] != array).sum()) for name, array in expected.items()}


def chains_of(module: Module, target: str, threads: int | None) -> dict[str, tuple[str, ...]]:
    """The layers of each kernel of several, by their last."""
    roads = emit(module, isa=isa_of(TARGETS[target]), threads=threads).roads
    return {road.joined[-1]: road.joined for road in roads if road.joined}


def skip_where_lacking(target: str) -> None:
    features = recorded(features_of(TARGETS[target].flags))
    if not features or lacking(features):
        pytest.skip(f"this processor lacks {', '.join(lacking(features))}")


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "COSTS", EAGER)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("threads", [2, pytest.param(3, marks=pytest.mark.slow), 4])
def test_joined_layers_have_the_interpreters_bits(threads: int) -> None:
    skip_where_lacking("iree-cpu")
    module = module_of(lines)
    chains = chains_of(module, "iree-cpu", threads)
    assert len(chains) > len(module.graph.outputs) - 3
    assert {len(layers) for layers in chains.values()} >= {2, 3, 4}
    assert set(wrong(module, "iree-cpu", threads).values()) == {0}


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("seed", range(6))
def test_lines_drawn_anew_have_the_interpreters_bits(seed: int) -> None:
    skip_where_lacking("iree-cpu")
    maker = QuantizedMaker("drawn", seed=seed)
    for number, value in enumerate(lines(maker)):
        maker.output(value, str(number))
    assert set(wrong(maker.module, "iree-cpu", 2 + seed % 3).values()) == {0}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("row", ["avx2", *(pytest.param(row, marks=pytest.mark.slow) for row in X86 if row != "avx2")])
def test_joined_layers_have_the_interpreters_bits_by_every_instruction_set(
    row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_of(row, monkeypatch).name
    skip_where_lacking(target)
    assert chains_of(module_of(lines), target, 2)
    assert set(wrong(module_of(lines), target, 2).values()) == {0}


@pytest.mark.slow
@pytest.mark.usefixtures("aarch64", "eager")
@pytest.mark.parametrize("row", ARM)
def test_joined_layers_have_the_interpreters_bits_on_aarch64(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnetdsl.backends.iree.runner import IreeRunner

    target = target_of(row, monkeypatch).name
    module = module_of(lines)
    monkeypatch.setattr("mnetdsl.backends.iree.emission.chaining_for", lambda threads: chaining_for(2))
    inputs = inputs_of(module, batch=3)
    results = IreeRunner(module, target).run(inputs)
    for name, array in run(module, inputs).items():
        np.testing.assert_array_equal(results[name], array)


def network(name: str, **settings: Any) -> Module:
    """Quantized by noise."""
    written = mnetdsl.load(name, **settings).with_weights("random:3")
    size = settings["resolution"]
    pictures = np.random.default_rng(4).integers(0, 256, (8, size, size, 3), np.uint8)
    return optimize(written.quantize([pictures]).module)


@pytest.mark.parametrize(
    ("name", "alpha"),
    [
        ("mobilenet_v2", 0.35),
        pytest.param("mobilenet_v1", 0.25, marks=pytest.mark.slow),
        pytest.param("mobilenet_v3_small", 0.35, marks=pytest.mark.slow),
        pytest.param("mobilenet_v4_conv_small", None, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("threads", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_each_chain_of_a_network_has_the_interpreters_bits(name: str, alpha: float | None, threads: int) -> None:
    """What a chain makes last can be seen without taking it apart."""
    skip_where_lacking("iree-cpu")
    module = network(name, resolution=64, classes=10, **({} if alpha is None else {"alpha": alpha}))
    chains = chains_of(module, "iree-cpu", threads)
    assert sum(map(len, chains.values())) > len(module.graph.operations) / 8
    found = wrong(module, "iree-cpu", threads, tuple(chains))
    assert set(chains) <= set(found)
    assert set(found.values()) == {0}


def test_what_must_be_seen_is_not_inside_a_chain() -> None:
    module = module_of(lambda maker: [line(maker, ["pointwise", "same", "back", "add"], 28, 28, 32)])
    isa = isa_of(TARGETS["iree-cpu"])
    if isa is None or isa.bytes is None:
        pytest.skip("this processor has no products of bytes")
    (layers,) = chains_of(module, "iree-cpu", 2).values()
    assert len(layers) == 4
    roads = emit(module, observe=[layers[1]], isa=isa, threads=2).roads
    assert {road.joined for road in roads} == {layers[:2], layers[2:]}
    assert all(f"from {road.joined[0]} to {road.joined[-1]}" in road.remark().message for road in roads)


@pytest.mark.parametrize("threads", [1, None])
def test_on_one_thread_or_nobody_knows_how_many_no_layers_of_bytes_are_joined(threads: int | None) -> None:
    module = module_of(lambda maker: [line(maker, ["pointwise", "same", "back", "add"], 28, 28, 32)])
    isa = isa_of(TARGETS["iree-cpu"])
    if isa is None or isa.bytes is None:
        pytest.skip("this processor has no products of bytes")
    assert chains_of(module, "iree-cpu", threads) == {}


def test_bands_that_are_mostly_halo_are_not_joined() -> None:
    """Eight windows of 5 rows deepen the halo by 2 rows each."""

    def build(maker: QuantizedMaker, width: int) -> list[Value]:
        value = maker.fresh(I8, 8, width, 256)
        for _ in range(8):
            attributes: dict[str, Any] = {"padding": (2, 2, 2, 2), "plain": True}
            value = maker.layer("depthwise_conv2d", value, (5, 5, 256, 1), I8, **attributes)
        return [value]

    isa = isa_of(TARGETS["iree-cpu"])
    if isa is None or isa.bytes is None:
        pytest.skip("this processor has no products of bytes")
    narrow, wide = (chains_of(module_of(partial(build, width=width)), "iree-cpu", 4) for width in (2, 200))
    longest = [max(map(len, chains.values()), default=1) for chains in (narrow, wide)]
    assert longest[0] > longest[1]


windows = st.builds(
    lambda kernel, stride, above, below: (kernel, stride, min(above, kernel - 1), min(below, kernel - 1)),
    st.integers(1, 7),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(0, 3),
)


@given(st.integers(1, 40), st.lists(windows, min_size=2, max_size=5), st.integers(1, 5))
def test_bands_cover_what_the_next_layer_reads_and_stay_inside(
    height: int, shapes: list[tuple[int, int, int, int]], bands: int
) -> None:
    found: list[Window] = []
    for kernel, stride, above, below in shapes:
        window = Window((height, 4), (kernel, 1), (stride, 1), (above, max(below, kernel - above - height), 0, 0))
        height = window.outputs[0]
        found.append(window)
    bands = min(bands, height)
    kernel_of_none = ByteSum(16, 16, SumForm(1.0, 1.0, 0.0, -128, 127))
    stages = tuple(
        ByteStage(kernel_of_none, window, rows, 64, 64, 64 * window.size[0], 1, 0)
        for window, rows in zip(found, band_rows(found, bands), strict=True)
    )
    chain = ByteChain(stages, bands)
    made: set[int] = set()
    for band in range(bands):
        tops = [int(str(top)) for top in chain.tops(band)]
        for stage, top in zip(stages, tops, strict=True):
            assert 0 <= top <= top + stage.rows <= stage.window.outputs[0]
        for before, stage, above, top in zip(stages, stages[1:], tops, tops[1:], strict=False):
            start = top * stage.window.strides[0] - stage.window.padding[0]
            end = start + (stage.rows - 1) * stage.window.strides[0] + stage.window.kernel[0]
            assert above <= max(start, 0)
            assert min(end, stage.window.size[0]) <= above + before.rows
        made.update(range(tops[-1], tops[-1] + stages[-1].rows))
    assert made == set(range(stages[-1].window.outputs[0]))


def test_every_instruction_set_joins_something(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(lambda maker: [line(maker, ["pointwise", "same", "back", "add"], 56, 56, 32)])
    for row in [isa.name for isa in BYTE_ISAS]:
        with monkeypatch.context() as context:
            assert chains_of(module, target_of(row, context).name, 2)


@pytest.mark.usefixtures("eager")
def test_one_layer_and_its_frame_are_not_called_a_chain() -> None:
    def build(maker: QuantizedMaker) -> list[Value]:
        source = maker.fresh(I8, 14, 14, 24)
        return [maker.layer("conv2d", source, (3, 3, 24, 32), I8, strides=(1, 1), padding=(1, 1, 1, 1), plain=True)]

    isa = isa_of(TARGETS["iree-cpu"])
    if isa is None or isa.bytes is None:
        pytest.skip("this processor has no products of bytes")
    (road,) = emit(module_of(build), isa=isa, threads=2).roads
    assert str(road.kernel).startswith("bytes_framed_14x")
