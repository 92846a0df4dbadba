"""The programs of examples/host run a module, and say what is wrong with an image."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mnetdsl
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
    logits = network.run({"image": image})["logits"].reshape(-1)
    order = np.argsort(-logits, kind="stable")[:5]
    assert [int(index) for index, _ in printed] == list(order)
    np.testing.assert_allclose([float(score) for _, score in printed], logits[order], atol=2e-3)
    assert "median of 3" in done.stdout


def test_the_python_program_imports_nothing_of_ours() -> None:
    assert "mnetdsl" not in re.findall(r"^(?:from|import) (\w+)", (HOST / "classify.py").read_text(), re.MULTILINE)


@pytest.mark.parametrize("image", [np.zeros((1, 32, 64, 3), np.uint8), np.zeros((1, 64, 64, 3), np.float32)])
def test_an_image_of_another_shape_or_type_is_one_line(image: np.ndarray, module: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", image)
    done = classify(module, tmp_path / "image.npy")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("image takes uint8 [1, 64, 64, 3], this is ")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_c_program_compiles_against_the_functions_it_calls(compiler: str) -> None:
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", str(HERE / "host")]
    done = subprocess.run(
        [require(compiler), *flags, str(HOST / "main.c")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
