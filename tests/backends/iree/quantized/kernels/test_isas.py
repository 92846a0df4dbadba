"""Kernels on bytes for every instruction set, with the interpreter's bits wherever they can be run."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mnetdsl
from mnetdsl.backends.iree.emission import emit
from mnetdsl.backends.iree.kernels.blocking import choose_block
from mnetdsl.backends.iree.kernels.isa import BYTE_ISAS, choose_isa
from mnetdsl.backends.iree.kernels.machine import features_of, isa_of
from mnetdsl.backends.iree.processor import lacking, recorded
from mnetdsl.backends.iree.quantized.kernels.pointwise import quads
from mnetdsl.backends.iree.targets import TARGETS, IreeTarget
from mnetdsl.backends.runners import make_runner
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Value
from mnetdsl.passes.pipelines import optimize
from tests.backends.iree.harness import inputs_of
from tests.backends.iree.quantized.cases import I8, U8, QuantizedMaker
from tests.backends.iree.quantized.kernels.test_layers import layers, module_of

ROWS = {
    "avx512-vnni": ("iree-cpu:x86-64-v4", "avx512vnni"),
    "avx512": ("iree-cpu:x86-64-v4", ""),
    "avx-vnni": ("iree-cpu:x86-64-v3", "avxvnni"),
    "avx2": ("iree-cpu:x86-64-v3", ""),
    "neon-dotprod": ("iree-cpu:aarch64-dotprod", ""),
    "neon": ("iree-cpu:aarch64", ""),
}
"""By the row's name: a target, and the feature that it lacks."""
X86 = [name for name, (target, _) in ROWS.items() if "x86" in target]
ARM = [name for name in ROWS if name not in X86]


def target_of(row: str, monkeypatch: pytest.MonkeyPatch) -> IreeTarget:
    name, feature = ROWS[row]
    target = TARGETS[name]
    if feature:
        target = replace(target, flags=(*target.flags, f"--iree-llvmcpu-target-cpu-features=+{feature}"))
        monkeypatch.setitem(TARGETS, name, target)
    return target


def wrong(module: Module, target: str, batch: int) -> dict[str, int]:
    """How many numbers of an output differ, by output; the last two inputs are the ends of their range."""
    inputs = inputs_of(module, batch=batch)
    for array in inputs.values():
        limits = np.iinfo(array.dtype)
        array[-2:] = np.array([limits.min, limits.max]).reshape(-1, *[1] * (array.ndim - 1))
    expected, results = run(module, inputs), make_runner(target, module).run(inputs)
    return {name: int((results[name] != array).sum()) for name, array in expected.items()}


def extreme(maker: QuantizedMaker) -> list[Value]:
    """Layers whose weights are the ends of their range: with inputs at theirs, sums are the largest there are."""
    plain: dict[str, Any] = {"plain": True}
    found = [
        maker.layer("conv2d", maker.fresh(I8, 5, 7, 72), (1, 1, 72, 40), I8, **plain),
        maker.layer("dense", maker.fresh(U8, 200), (200, 24), U8, scales=1),
        maker.layer("depthwise_conv2d", maker.fresh(I8, 9, 9, 24), (7, 7, 24, 1), I8, padding=(3, 3, 3, 3), **plain),
        maker.layer("depthwise_conv2d", maker.fresh(U8, 9, 9, 24), (3, 3, 24, 1), U8, scales=1, strides=(2, 2)),
        maker.layer("conv2d", maker.fresh(I8, 9, 9, 3), (3, 3, 3, 24), I8, strides=(2, 2), **plain),
    ]
    for name, array in maker.module.resources.items():
        if array.dtype.itemsize == 1 and array.ndim > 1:
            limits = np.iinfo(array.dtype.name)
            signs = maker.random.random(array.shape) < 0.5
            signs[..., ::3] = True  # all of a channel, or of a map's rows, at one end
            maker.module.resources[name] = np.where(signs, limits.min, limits.max).astype(array.dtype)
    return found


@cache
def quantized_network() -> Module:
    """MobileNetV3, small in every way, with residual sums, gates and tables."""
    network = mnetdsl.load("mobilenet_v3_small", alpha=0.35, resolution=64, classes=10).with_weights("random:3")
    pictures = np.random.default_rng(4).integers(0, 256, (8, 64, 64, 3), np.uint8)
    return optimize(network.quantize([pictures]).module)


def test_every_row_is_tested_and_chosen_for_its_target(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(ROWS) == {isa.name for isa in BYTE_ISAS}
    for row in ROWS:
        with monkeypatch.context() as context:
            isa = isa_of(target_of(row, context))
        assert isa is not None
        assert isa.bytes is not None
        assert isa.bytes.name == row


def test_a_processor_without_vectors_has_no_row() -> None:
    assert choose_isa(frozenset({"sse2"})) is None


@pytest.mark.parametrize("row", ["avx2", *(pytest.param(row, marks=pytest.mark.slow) for row in X86 if row != "avx2")])
def test_layers_have_the_interpreters_bits(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = target_of(row, monkeypatch)
    features = recorded(features_of(target.flags))
    if not features or lacking(features):
        pytest.skip(f"this processor lacks {', '.join(lacking(features))}")
    assert set(wrong(module_of(layers), target.name, batch=4).values()) == {0}
    assert set(wrong(module_of(extreme), target.name, batch=6).values()) == {0}


@pytest.mark.slow
@pytest.mark.usefixtures("aarch64")
@pytest.mark.parametrize("row", [*X86, *ARM])
def test_a_network_has_the_interpreters_bits(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = target_of(row, monkeypatch)
    if row in X86 and lacking(recorded(features_of(target.flags))):
        pytest.skip("this processor lacks its instructions")
    assert set(wrong(quantized_network(), target.name, batch=3).values()) == {0}


@pytest.mark.slow
@pytest.mark.usefixtures("aarch64")
@pytest.mark.parametrize("row", ARM)
def test_layers_have_the_interpreters_bits_on_aarch64(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = target_of(row, monkeypatch)
    assert set(wrong(module_of(layers), target.name, batch=3).values()) == {0}
    assert set(wrong(module_of(extreme), target.name, batch=4).values()) == {0}


@pytest.mark.parametrize("row", list(ROWS))
def test_each_layer_runs_by_a_kernel_of_ours(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    roads = emit(module_of(layers), isa=isa_of(target_of(row, monkeypatch))).roads
    assert [(road.opcode, road.reason) for road in roads if road.kernel is None] == []


@pytest.mark.parametrize("isa", BYTE_ISAS, ids=lambda isa: isa.name)
def test_blocks_leave_registers_for_operands(isa: Any) -> None:
    for rows in (1, 4, 49, 196, 12544):
        for vectors in (1, 2, 3, 8, 60):
            block = choose_block(isa, rows, vectors)
            sums = block.rows * block.vectors * isa.split
            assert sums < isa.registers - 1
            assert sums * 3 > isa.registers or (rows, vectors) < (8, 8) or 1 in (rows, vectors)


@given(st.sampled_from(BYTE_ISAS), st.integers(1, 4), st.integers(1, 5), st.integers(1, 3))
def test_packed_weights_hold_each_weight_once(isa: Any, depth: int, vectors: int, width: int) -> None:
    matrix = np.arange(1, depth * 4 * vectors * 2 + 1, dtype=np.int16).reshape(1, depth * 4, vectors * 2)
    packed = quads(isa, np.minimum(matrix, 127), width * 2)
    assert sorted(packed) == sorted(np.minimum(matrix, 127).reshape(-1))
    assert packed.dtype == (np.int16 if isa.wide else np.int8)
