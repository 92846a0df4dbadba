"""The self-test of an integer network names the first layer whose bits differ."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mnetdsl import interpreter
from mnetdsl.backends.c import CPackage, Options, SelfTest, generate
from mnetdsl.backends.c.selftest import checksum
from mnetdsl.files import write_folder
from mnetdsl.ir.core import Module
from mnetdsl.targets import CORES
from tests.backends.c.quantized.test_faults import integer_module
from tests.backends.c.quantized.test_networks import I8, quantized
from tests.toolchain import require

UNREAD = """mnet 1

model net() {
  input image: u8[16, 16, 3]
  x = conv2d(image, 8, kernel = 3) as first
  x = conv2d(x, 8, stride = 2) as second
  x = depthwise_conv2d(x, 3) as third
  output logits = dense(global_avg_pool(x), 4) as head
}
"""
STRICT = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-Werror", "-pedantic")


@pytest.fixture(scope="module")
def network() -> Module:
    return quantized("mobilenet_v1", I8, alpha=0.25, resolution=32, classes=10)


def package(module: Module, core: str | None = None, rows: bool = False) -> CPackage:
    (port,) = module.graph.inputs
    images = np.random.default_rng(0).integers(0, 256, (2, *port.value.type.shape[1:])).astype(np.uint8)
    layers: dict[str, np.ndarray] = {}
    outputs = interpreter.run(module, {port.name: images}, lambda op, array: layers.__setitem__(op.name, array))
    test = SelfTest({port.name: images}, outputs, layers=layers)
    return generate(module, "net", Options(selftest=test, core=CORES[core] if core else None, rows=rows))


def run(folder: Path, files: dict[str, bytes], *flags: str) -> subprocess.CompletedProcess[str]:
    write_folder(folder, files)
    sources = ["net.c", "net_weights.c", "net_selftest.c", "net_main.c"]
    build = ["gcc", *STRICT, "-fsanitize=address,undefined", *flags, *sources, "-lm", "-o", "net"]
    subprocess.run(build, cwd=folder, check=True)
    return subprocess.run(["./net"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("core", [None, "cortex-m4"])
def test_all_layers_of_a_right_build_pass(network: Module, core: str | None, rows: bool, tmp_path: Path) -> None:
    require("gcc")
    done = run(tmp_path / "net", package(network, core, rows).files, "-DNET_SELFTEST_LAYERS=1")
    assert (done.returncode, done.stdout) == (0, "net: passed, 0 wrong\n")


def test_rows_behind_a_barrier_and_rows_that_nobody_asks_for_pass_as_well(tmp_path: Path) -> None:
    require("gcc")
    found = package(quantized("mobilenet_v3_small", I8, resolution=64, classes=10), rows=True)
    done = run(tmp_path / "small", found.files, "-DNET_SELFTEST_LAYERS=1")
    assert (done.returncode, done.stdout) == (0, "net: passed, 0 wrong\n")
    found = package(integer_module(UNREAD, I8), rows=True)
    assert found.program.rows is not None
    first = next(layer for layer in found.program.layers if layer.name == "first")
    assert found.program.rows.made[first.index] == first.output_bytes * 15 // 16
    done = run(tmp_path / "unread", found.files, "-DNET_SELFTEST_LAYERS=1")
    assert (done.returncode, done.stdout) == (0, "net: passed, 0 wrong\n")


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("layer", ["body.0.pointwise.conv", "body.7.depthwise.conv", "logits"])
def test_the_layer_whose_weights_were_damaged_is_named(network: Module, layer: str, rows: bool, tmp_path: Path) -> None:
    require("gcc")
    whole = package(network, rows=rows)
    damaged = Module(network.name, network.graph, dict(network.resources), dict(network.derived))
    weights = damaged.resources[f"{layer}.weight"].astype(np.int8)
    weights = (-(weights // 2)).astype(np.int8)
    damaged.resources[f"{layer}.weight"] = weights
    files = {**whole.files, "net_weights.c": generate(damaged, "net", Options(rows=rows)).files["net_weights.c"]}
    done = run(tmp_path / "net", files, "-DNET_SELFTEST_LAYERS=1")
    assert done.returncode == 1
    assert f"net: the first wrong layer is {layer}\n" in done.stdout
    done = run(tmp_path / "plain", files)
    assert done.returncode == 1
    assert "the first wrong layer" not in done.stdout


def test_layers_of_a_float_network_are_not_compared_by_bits() -> None:
    import mnetdsl

    module = mnetdsl.load("mobilenet_v1", alpha=0.25, resolution=32, classes=4).with_weights("random:1").optimized()
    found = package(module)
    assert found.program.selftest is not None
    assert found.program.selftest.layers == ()


def test_checksums_are_those_of_the_definition() -> None:
    assert checksum(b"") == 0x811C9DC5
    assert checksum(b"a") == 0xE40C292C
    assert checksum(b"foobar") == 0xBF9CF968
