"""Loops on registers alone, beside which networks are measured: they do the multiply-adds that they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mnetdsl.backends.iree.compiler import compile_mlir
from mnetdsl.backends.iree.kernels.isa import BFLOATS, BYTE_ISAS, ISAS, ByteIsa
from mnetdsl.backends.iree.kernels.machine import features_of
from mnetdsl.backends.iree.kernels.peak import (
    CHAINS,
    FUNCTION,
    WORKGROUPS,
    AnyPeak,
    BytePeak,
    Peak,
    TilePeak,
    operand,
    peak_of,
    peak_text,
)
from mnetdsl.backends.iree.session import Session
from mnetdsl.backends.iree.targets import TARGETS
from tests.backends.iree.harness import Array

TARGET = TARGETS["iree-cpu"]
ROUNDS = 40
AVX512 = ISAS[0]
TILES = replace(BYTE_ISAS[0], tiles=True)


def require(features: frozenset[str]) -> None:
    missing = features - features_of(TARGET.flags)
    if missing:
        pytest.skip(f"this processor has no {', '.join(sorted(missing))}")


def result_of(kernel: AnyPeak, factor: Array) -> Array:
    (buffer,) = kernel.outputs
    session = Session(compile_mlir(peak_text(kernel), "peak", TARGET), FUNCTION, TARGET.driver)
    (result,) = session.call([factor], [((buffer.size,), {"f32": "float32", "i32": "int32"}[buffer.element])])
    return result


def test_each_multiplication_of_vectors_is_done() -> None:
    require(AVX512.requires)
    kernel = peak_of(AVX512, None, stored=False, rounds=ROUNDS)
    assert kernel == Peak(16, ROUNDS)
    assert kernel.macs == WORKGROUPS * ROUNDS * CHAINS * 16
    assert set(result_of(kernel, np.ones(16, np.float32))) == {sum(range(CHAINS)) + CHAINS * ROUNDS}
    assert set(result_of(kernel, operand(kernel))) == {CHAINS}, "its numbers stay small"


@pytest.mark.parametrize(
    ("stored", "one", "depth"), [(True, np.int8(1), 64), (False, np.int16(0x3F80), 32)], ids=["bytes", "bfloat16"]
)
def test_each_multiplication_of_tiles_is_done(stored: bool, one: np.generic, depth: int) -> None:
    bfloat = BFLOATS[0]
    require(bfloat.requires | {"amx-int8"})
    kernel = peak_of(replace(AVX512, bytes=TILES), bfloat, stored=stored, rounds=8 * ROUNDS)
    assert isinstance(kernel, TilePeak)
    assert kernel.macs == WORKGROUPS * ROUNDS * 4 * 16 * 16 * depth
    ones = np.full(1024 // one.itemsize, one).view(np.int8)
    assert set(result_of(kernel, ones)) == {ROUNDS * depth}


def test_pairs_of_bfloat16_count_twice() -> None:
    require(BFLOATS[1].requires)
    kernel = peak_of(AVX512, BFLOATS[1], stored=False, rounds=ROUNDS)
    assert kernel is not None
    assert kernel.macs == 2 * Peak(16, ROUNDS).macs
    ones = np.full(32, 0x3F80, np.int16)
    assert set(result_of(kernel, ones)) == {sum(range(CHAINS)) + 2 * CHAINS * ROUNDS}


@pytest.mark.parametrize("isa", BYTE_ISAS, ids=[isa.name for isa in BYTE_ISAS])
def test_bytes_are_multiplied_as_layers_multiply_them(isa: ByteIsa) -> None:
    kernel = peak_of(replace(AVX512, bytes=isa), None, stored=True, rounds=ROUNDS)
    assert isinstance(kernel, BytePeak)
    assert kernel.macs == WORKGROUPS * ROUNDS * CHAINS * isa.lanes * len(isa.order[0])
    text = peak_text(kernel)
    assert text.count("llvm.call_intrinsic") == CHAINS * isa.split
    require(isa.requires)
    assert set(result_of(kernel, operand(kernel))) == {sum(range(1, CHAINS + 1))}, "its weights are zeros"


def test_there_is_no_peak_where_nothing_multiplies_bytes() -> None:
    assert peak_of(replace(AVX512, bytes=None), None, stored=True, rounds=ROUNDS) is None
