"""The runner on this machine: batches, observed layers, and what a missing or broken compiler looks like."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mnetdsl.backends.c.host import HostRunner
from mnetdsl.diagnostics import MnetError
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Op
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import OPERATIONS
from tests.backends.c.harness import Array, assert_same, random_inputs
from tests.backends.c.networks import small_mobilenet
from tests.graphs import GraphMaker
from tests.toolchain import require


def test_a_batch_gives_what_the_interpreter_gives() -> None:
    require("gcc")
    module = small_mobilenet()
    inputs = random_inputs(module, batch=3)
    assert_same(HostRunner(module).run(inputs), run(module, inputs))


def test_every_layer_can_be_observed_although_they_share_memory() -> None:
    require("gcc")
    module = small_mobilenet()
    inputs = random_inputs(module, batch=2)
    wanted: dict[str, Array] = {}

    def keep(op: Op, result: Array) -> None:
        wanted[op.name] = result

    outputs = run(module, inputs, keep)
    names = list(wanted)
    found = HostRunner(module).run(inputs, observe=names)
    assert_same(found, {**wanted, **outputs})


def test_a_reshape_is_observed_in_the_shape_it_gives() -> None:
    require("gcc")
    maker = GraphMaker("views")
    x = maker.input(2, 3)
    flat = maker.builder.add(OPERATIONS["reshape"], Location("flat"), operands={"input": x}, shape=(6,)).result
    y = maker.builder.add(OPERATIONS["relu"], Location("act"), operands={"input": flat}).result
    tall = maker.builder.add(OPERATIONS["reshape"], Location("tall"), operands={"input": y}, shape=(3, 2)).result
    module = maker.output(maker.builder.add(OPERATIONS["softmax"], Location("end"), operands={"input": tall}).result)
    inputs = random_inputs(module, batch=2)
    found = HostRunner(module).run(inputs, observe=["flat", "tall"])
    np.testing.assert_array_equal(found["flat"], inputs["image"].reshape(2, 6))
    np.testing.assert_array_equal(found["tall"], np.maximum(inputs["image"], 0).reshape(2, 3, 2))


def test_an_unknown_layer_is_a_key_error() -> None:
    require("gcc")
    module = small_mobilenet()
    with pytest.raises(KeyError):
        HostRunner(module).run(random_inputs(module), observe=["nowhere"])


def test_inputs_that_do_not_fit_are_refused_as_by_the_interpreter() -> None:
    require("gcc")
    runner = HostRunner(small_mobilenet())
    with pytest.raises(MnetError, match="MN0620"):
        runner.run({})
    with pytest.raises(MnetError, match="MN0621"):
        runner.run({"image": np.zeros((1, 8, 8, 3), np.uint8)})


def test_an_exception_of_an_observer_comes_out_and_ends_the_observation(monkeypatch: pytest.MonkeyPatch) -> None:
    require("gcc")
    runner = HostRunner(small_mobilenet())
    inputs = random_inputs(small_mobilenet())
    calls = []

    def explode(layer: int, address: int, size: int) -> None:
        calls.append(layer)
        raise RuntimeError("no more")

    arena = np.empty(runner.package.plan.arena_bytes, np.uint8)
    scores = np.empty(3, np.float32)
    with pytest.raises(RuntimeError, match="no more"):
        runner.library.call(arena, [inputs["image"][0]], [scores], explode)
    assert calls == [0]


def test_a_missing_compiler_is_named_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(MnetError, match=r"MN1201: no C compiler is installed") as raised:
        HostRunner(small_mobilenet())
    assert "apt-get install gcc" in raised.value.diagnostics[0].help[0]
    monkeypatch.setenv("CC", "nonsense-cc -O2")
    with pytest.raises(MnetError, match=r"MN1201.*`nonsense-cc`"):
        HostRunner(small_mobilenet())


@pytest.mark.skipif(os.name != "posix", reason="a shell script stands in for the compiler")
@pytest.mark.parametrize("script", ["echo something is wrong >&2; exit 1", "kill -9 $$"])
def test_a_compiler_that_fails_or_dies_is_reported_with_what_it_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    fake = tmp_path / "fakecc"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("CC", str(fake))
    with pytest.raises(MnetError, match="MN1202") as raised:
        HostRunner(small_mobilenet())
    assert raised.value.diagnostics[0].notes in (("something is wrong",), ("it printed nothing",))


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_compiler_that_cannot_be_started_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "fakecc"
    fake.write_bytes(b"\x7fELF nonsense")
    fake.chmod(0o755)
    monkeypatch.setenv("CC", str(fake))
    with pytest.raises(MnetError, match="MN1201: the C compiler cannot be started"):
        HostRunner(small_mobilenet())


@pytest.mark.skipif(os.name != "posix", reason="a shell script stands in for the compiler")
def test_a_library_that_cannot_be_loaded_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "fakecc"
    fake.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho nonsense > "$2"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("CC", str(fake))
    with pytest.raises(MnetError, match=r"MN1202.*cannot be loaded") as raised:
        HostRunner(small_mobilenet())
    assert "TMPDIR" in raised.value.diagnostics[0].help[0]


def test_a_missing_temporary_folder_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    require("gcc")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(MnetError, match=r"MN0911.*temporary folder"):
        HostRunner(small_mobilenet())
