"""Measuring beside other engines: what is asked for, what comes out, what is said where it cannot be."""

from __future__ import annotations

import importlib.metadata
import os
from importlib.util import find_spec

import numpy as np
import pytest

import mnetdsl
from mnetdsl.backends.iree.kernels.machine import bfloat_of
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.bench import Request, check_kind, host, measure
from mnetdsl.bench.engines import ENGINES, OURS, Engine, Running
from mnetdsl.bench.float_module import behind_preprocessing
from mnetdsl.bench.host_report import HostReport, Measured
from mnetdsl.diagnostics import ExitCode, MnetError
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module

PEERS = {"litert": "ai_edge_litert", "onnxruntime": "onnxruntime", "openvino": "openvino"}


def small() -> Module:
    return mnetdsl.load("mobilenet_v2", alpha=0.25, resolution=32, classes=10).with_weights("random:1").optimized()


def problem(on: str, against: tuple[str, ...] = ()) -> MnetError:
    with pytest.raises(MnetError) as caught:
        measure(on, Request(small(), against=against, rounds=1))
    return caught.value


def test_the_network_behind_its_preprocessing_takes_normalized_images() -> None:
    module = small()
    bare = behind_preprocessing(module)
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    normalized = ((image.astype(np.float32) - 127.5) / 127.5).astype(np.float32)
    (port,) = bare.graph.inputs
    assert port.value.type.element.is_float
    np.testing.assert_array_equal(
        run(bare, {port.name: normalized})["logits"], run(module, {port.name: image})["logits"]
    )
    assert module.graph.inputs[0].value.type.element.dtype == "uint8", "the module itself stays as it is"


def test_ours_is_measured_beside_the_compiler_s_own_code() -> None:
    report = measure("iree-cpu", Request(small(), threads=(1, 2), against=("iree",), rounds=2)).to_json()
    engines = report["engines"]
    assert isinstance(engines, list)
    assert [(one["engine"], one["threads"]) for one in engines] == [
        (name, threads) for threads in (1, 2) for name in (OURS, "iree")
    ]
    for one in engines:
        assert one["precision"] == "f32"
        assert one["median_ms"] > 0
        assert len(one["rounds_ms"]) == 2
        assert one["ratio_spread"][0] <= one["ratio"] <= one["ratio_spread"][1]
        assert one["difference"] < 1e-4
        assert 0 < one["peak_share"] < 1.5
    assert [one["ratio"] for one in engines if one["engine"] == OURS] == [1.0, 1.0]


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS)
def test_other_engines_compute_the_same_logits(peer: str) -> None:
    if find_spec(PEERS[peer]) is None:
        message = f"{peer} is not installed (pip install '.[bench]')"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    for network in ("mobilenet_v3_small", "mobilenet_v4_hybrid_medium"):
        module = mnetdsl.load(network).with_weights("random:1").optimized()
        report = measure("iree-cpu", Request(module, against=(peer,), rounds=1)).to_json()
        engines = report["engines"]
        assert isinstance(engines, list)
        assert [one["engine"] for one in engines] == [OURS, peer]


def test_a_ratio_is_the_median_over_rounds_not_of_medians() -> None:
    ours = Measured(OURS, 1, "f32", (1.0, 2.0, 10.0), (1.0, 2.0, 10.0), 0.0, "1")
    other = Measured("litert", 1, "f32", (2.0, 3.0, 11.0), (2.0, 3.0, 11.0), 0.0, "2")
    assert other.ratio(ours) == (1.5, 1.1, 2.0)
    report = HostReport("net", "machine", 3_000_000, OURS, (ours, other), {1: 6e9})
    engines = report.to_json()["engines"]
    assert isinstance(engines, list)
    assert engines[1]["ratio"] == 1.5
    assert engines[0]["peak_share"] == 0.25
    header, rows = report.table().header, report.table().rows
    assert len(report.table().right) == len(header) == len(rows[0])


def test_an_unknown_kind_of_machine_is_refused() -> None:
    with pytest.raises(MnetError) as caught:
        check_kind("iree_cpu")
    (message,) = caught.value.diagnostics
    assert message.code == "MN2001"
    assert "iree-cpu" in str(message.help)
    assert caught.value.exit_code is ExitCode.USAGE
    assert problem("iree-cpu:cortex-a72").diagnostics[0].code == "MN2001"


def test_an_unknown_engine_is_refused_with_those_that_exist() -> None:
    (message,) = problem("iree-cpu", against=("tflite",)).diagnostics
    assert message.code == "MN2002"
    assert "litert, onnxruntime, openvino" in str(message.help)


def test_an_engine_without_bfloat16_is_refused() -> None:
    with pytest.raises(MnetError) as caught:
        host.check_precision((OURS, "litert", "onnxruntime"), "bf16")
    (message,) = caught.value.diagnostics
    # Processors without bfloat16 are refused before engines are.
    assert message.code in ("MN2006", "MN1107")
    if message.code == "MN2006":
        assert "litert and onnxruntime compute in float32 alone" in message.message
        assert "openvino" in str(message.help)
    host.check_precision((OURS, "litert"), "f32")


def test_ours_is_measured_in_bfloat16() -> None:
    if not bfloat_of(TARGETS["iree-cpu"]):
        pytest.skip("this processor has no bfloat16")
    report = measure("iree-cpu", Request(small(), rounds=1, precision="bf16")).to_json()
    engines = report["engines"]
    assert isinstance(engines, list)
    (ours,) = engines
    assert ours["precision"] == "bf16"
    assert 1e-5 < ours["difference"] < 0.1
    assert 0 < ours["peak_share"] < 1.5


def test_missing_packages_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(host, "version", nothing)
    (message,) = problem("iree-cpu", against=("litert", "openvino")).diagnostics
    assert message.code == "MN2003"
    for package in ("ai-edge-litert", "flatbuffers", "onnx", "openvino"):
        assert package in message.message


def test_an_engine_that_crashes_is_named_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object) -> Running:
        raise AssertionError("the worker has its own table")

    monkeypatch.setitem(ENGINES, "iree", Engine("iree-base-runtime", "missing.vmfb", never))
    (message,) = problem("iree-cpu", against=("iree",)).diagnostics
    assert message.code == "MN2004"
    assert "iree" in message.message
    assert any("missing.vmfb" in note for note in message.notes)


def test_an_engine_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "interpret", lambda module, inputs: {"logits": np.ones((1, 10), np.float32)})
    (message,) = problem("iree-cpu").diagnostics
    assert message.code == "MN2005"
    assert OURS in message.message
