"""The programs of examples/host run a module, and say what is wrong with an image."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from iree import runtime

import mnetdsl
from mnetdsl.ir.types import ElementType
from tests.toolchain import require

HERE = Path(__file__).parent
HOST = HERE.parents[1] / "examples" / "host"


@pytest.fixture(scope="module")
def network() -> mnetdsl.Network:
    return mnetdsl.load("mobilenet_v2", alpha=0.35, resolution=64, classes=10).with_weights("random:1")


@pytest.fixture(scope="module")
def module(network: mnetdsl.Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("host")
    network.compile("iree-cpu", folder)
    return folder / "mobilenet_v2.vmfb"


def classify(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HOST / "classify.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_python_program_prints_the_largest_logits(
    threads: int, network: mnetdsl.Network, module: Path, tmp_path: Path
) -> None:
    image = np.random.default_rng(3).integers(0, 256, (1, 64, 64, 3), np.uint8)
    np.save(tmp_path / "image.npy", image)
    done = classify(module, tmp_path / "image.npy", "--threads", threads, "--runs", 3)
    assert done.returncode == 0, done.stderr
    printed = re.findall(r"^ *(\d+) +(-?[\d.]+)", done.stdout, re.MULTILINE)[:5]
    logits = network.run({"image": image})["logits"].reshape(-1).astype(np.float32)
    order = np.argsort(-logits, kind="stable")[:5]
    assert [int(index) for index, _ in printed] == list(order)
    np.testing.assert_allclose([float(score) for _, score in printed], logits[order], atol=2e-3)
    assert "median of 3" in done.stdout


def test_the_python_program_imports_nothing_of_ours() -> None:
    assert "mnetdsl" not in re.findall(r"^(?:from|import) (\w+)", (HOST / "classify.py").read_text(), re.MULTILINE)


def test_the_python_program_knows_what_inputs_are_made_of() -> None:
    elements = runpy.run_path(str(HOST / "classify.py"))["ELEMENTS"]
    inputs = (ElementType.U8, ElementType.I8, ElementType.F32)
    assert elements == {each.value: np.dtype(each.dtype).type for each in inputs}


@pytest.mark.parametrize("option", ["--threads", "--runs"])
def test_no_threads_and_no_runs_are_refused(option: str, tmp_path: Path) -> None:
    done = classify(tmp_path / "net.vmfb", tmp_path / "image.npy", option, 0)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(f"argument {option}: '0' is no number from 1")


@pytest.mark.parametrize("image", [np.zeros((1, 32, 64, 3), np.uint8), np.zeros((1, 64, 64, 3), np.float32)])
def test_an_image_of_another_shape_or_type_is_one_line(image: np.ndarray, module: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", image)
    done = classify(module, tmp_path / "image.npy")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("image takes uint8 [1, 64, 64, 3], this is ")


def test_a_module_of_another_version_is_one_line(module: Path, tmp_path: Path) -> None:
    other = tmp_path / module.name
    other.write_bytes(module.read_bytes())
    manifest = json.loads(module.with_suffix(".json").read_text())
    other.with_suffix(".json").write_text(json.dumps({**manifest, "iree": "3.1.0"}))
    np.save(tmp_path / "image.npy", np.zeros((1, 64, 64, 3), np.uint8))
    done = classify(other, tmp_path / "image.npy")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("the module was made by IREE 3.1.0, here is ")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_c_program_compiles_against_the_functions_it_calls(compiler: str) -> None:
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", str(HERE / "host")]
    done = subprocess.run(
        [require(compiler), *flags, str(HOST / "main.c")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_functions_full_name_has_the_networks(module: Path) -> None:
    """As IREE's C functions look it up, and two networks in one session need it."""
    held = runtime.VmModule.copy_buffer(runtime.VmInstance(), module.read_bytes())
    manifest = json.loads(module.with_suffix(".json").read_text())
    assert (held.name, manifest["name"], manifest["function"]) == ("mobilenet_v2", "mobilenet_v2", "main")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C program, linked with functions that hand each call to IREE's own iree-run-module."""
    binary = tmp_path_factory.mktemp("classify") / "classify"
    flags = ["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    sources = [str(HOST / "main.c"), str(HERE / "host" / "runtime.c")]
    command = [require("gcc"), *flags, "-I", str(HERE / "host"), *sources, "-o", str(binary)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return binary


def run_program(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("iree-run-module")
    environment = {**os.environ, "IREE_RUN_MODULE": str(tool), "IREE_FUNCTION": "mobilenet_v2.main"}
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_c_program_prints_the_largest_logit(
    program: Path, network: mnetdsl.Network, module: Path, tmp_path: Path
) -> None:
    image = np.random.default_rng(3).integers(0, 256, (1, 64, 64, 3), np.uint8)
    (tmp_path / "image.raw").write_bytes(image.tobytes())
    done = run_program(program, module, "mobilenet_v2.main", tmp_path / "image.raw", 1, 64, 64, 3)
    assert (done.returncode, done.stderr) == (0, "")
    index, value = done.stdout.split()
    logits = network.run({"image": image})["logits"].reshape(-1).astype(np.float32)
    assert int(index) == logits.argmax()
    assert float(value) == pytest.approx(float(logits.max()), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["MODULE", "FUNCTION", "IMAGE", "1", "64", "64", "4"], 1, "does not hold 16384 bytes"),
        (["MODULE", "FUNCTION", "IMAGE", "1", "64", "0", "3"], 2, "0 is no size of an image"),
        (["MODULE", "FUNCTION", "IMAGE", "1", "32", "128", "3"], 1, "does not take this input"),
        (["MODULE", "module.main", "IMAGE", "1", "64", "64", "3"], 1, "no such function"),
        (["nothing.vmfb", "FUNCTION", "IMAGE", "1", "64", "64", "3"], 1, "the module cannot be read"),
        (["MODULE", "FUNCTION", "IMAGE"], 2, "usage: classify"),
    ],
)
def test_what_the_c_program_cannot_do_is_one_line(
    arguments: list[str], status: int, said: str, program: Path, module: Path, tmp_path: Path
) -> None:
    (tmp_path / "image.raw").write_bytes(bytes(64 * 64 * 3))
    names = {"MODULE": module, "FUNCTION": "mobilenet_v2.main", "IMAGE": tmp_path / "image.raw"}
    done = run_program(program, *(names.get(argument, argument) for argument in arguments))
    assert done.returncode == status
    (line,) = done.stderr.splitlines()
    assert said in line
