"""`--package NAME`: what is packed builds, runs in QEMU or on this machine, installs, and is found by others."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mnetdsl.backends.c import CPackage, Options, SelfTest, generate
from mnetdsl.backends.packages import PACKAGES, pack
from mnetdsl.backends.qemu.machines import MACHINES
from mnetdsl.diagnostics import MnetError
from mnetdsl.files import write_folder
from mnetdsl.interpreter import run
from mnetdsl.passes.pipelines import optimize
from mnetdsl.plan import Memory
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from mnetdsl.targets import CORES, find_device
from mnetdsl.weights.random import random_weights
from tests.backends.c.harness import random_inputs
from tests.backends.c.networks import small_mobilenet
from tests.toolchain import require

TOOLCHAIN = "-DCMAKE_TOOLCHAIN_FILE=toolchain.cmake"
CONSUMER = """\
cmake_minimum_required(VERSION 3.13)
project(app C)
find_package(tiny CONFIG REQUIRED)
add_executable(app app.c)
target_link_libraries(app PRIVATE tiny::tiny)
"""
APP = """\
#include "tiny.h"
static tiny_arena arena;
static tiny_context context;
int main(void) { return tiny_init(&context, &arena, sizeof arena) == TINY_OK ? 0 : 1; }
"""


@pytest.fixture(scope="module")
def package() -> CPackage:
    """With a self-test, so that the example knows right answers."""
    module = small_mobilenet()
    inputs = random_inputs(module, batch=2)
    return generate(module, options=Options(selftest=SelfTest(inputs, run(module, inputs))))


def command(folder: Path, *words: str | Path) -> str:
    done = subprocess.run(list(map(str, words)), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "core",
    [core if core in ("cortex-m4", "cortex-m55") else pytest.param(core, marks=pytest.mark.slow) for core in MACHINES],
)
def test_the_cmake_package_runs_in_qemu(package: CPackage, core: str, tmp_path: Path) -> None:
    for tool in ("cmake", "arm-none-eabi-gcc", "qemu-system-arm"):
        require(tool)
    write_folder(tmp_path, pack(package, "cmake", find_device(core)))
    command(tmp_path, "cmake", "-B", "build", TOOLCHAIN)
    text = command(tmp_path, "cmake", "--build", "build", "--target", "run")
    assert "tiny: self-test, wrong elements: 0\n" in text
    assert "tiny: the largest of" in text


def test_the_example_of_rows_holds_no_frame_and_answers_as_that_of_whole_images(tmp_path: Path) -> None:
    require("cmake")
    require("gcc")
    module = small_mobilenet(size=32)
    said = []
    for folder, rows in (("whole", False), ("rows", True)):
        files = pack(generate(module, options=Options(rows=rows)), "cmake", None)
        write_folder(tmp_path / folder, files)
        command(tmp_path, "cmake", "-S", folder, "-B", f"{folder}/build", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror")
        shown = command(tmp_path, "cmake", "--build", f"{folder}/build", "--target", "run")
        said.append([line for line in shown.splitlines() if line.startswith("tiny: ")])
        assert ("_feed_rows(&context, row, 1)" in files["example/main.c"].decode()) == rows
        assert ("_INPUT_" in files["example/main.c"].decode()) != rows
    assert said[0] == said[1]
    assert "the largest of" in said[0][0]


def test_the_example_of_two_arenas_runs_from_two_memories_of_the_board(tmp_path: Path) -> None:
    for tool in ("cmake", "arm-none-eabi-gcc", "qemu-system-arm"):
        require(tool)
    module = small_mobilenet(size=32)
    inputs = random_inputs(module)
    memories = (Memory("DTCM", 8 * 1024), Memory("AXI SRAM", 24 * 1024))
    test = SelfTest(inputs, run(module, inputs))
    spread = generate(module, options=Options(selftest=test, rows=True, memories=memories))
    assert [arena.memory for arena in spread.plan.arenas] == ["DTCM", "AXI SRAM"]
    assert spread.plan.fits
    write_folder(tmp_path, pack(spread, "cmake", find_device("cortex-m4")))
    assert "| `tiny_arena_dtcm` | DTCM |" in (tmp_path / "README.md").read_text()
    command(tmp_path, "cmake", "-B", "build", TOOLCHAIN)
    assert "wrong elements: 0\n" in command(tmp_path, "cmake", "--build", "build", "--target", "run")
    (elf,) = tmp_path.rglob("*.elf")
    symbols = dict(
        line.split()[::-2] for line in command(tmp_path, "arm-none-eabi-nm", elf).splitlines() if "arena_" in line
    )
    machine = MACHINES["cortex-m4"]
    assert machine.ram.base <= int(symbols["arena_dtcm"], 16) < machine.ram.base + machine.ram.bytes
    assert machine.big.base <= int(symbols["arena_axi_sram"], 16) < machine.big.base + machine.big.bytes


@pytest.mark.parametrize("name", ["rp2040", "cortex-m85"])
def test_a_core_that_qemu_has_no_board_for_gets_the_library_and_is_told_of_the_example(
    package: CPackage, name: str, tmp_path: Path
) -> None:
    for tool in ("cmake", "arm-none-eabi-gcc"):
        require(tool)
    write_folder(tmp_path, pack(package, "cmake", find_device(name)))
    assert "tiny_example is left out" in command(tmp_path, "cmake", "-B", "build", TOOLCHAIN)
    command(tmp_path, "cmake", "--build", "build")
    assert list(tmp_path.rglob("libtiny.a"))


def test_the_cmake_package_installs_on_this_machine_and_is_found(package: CPackage, tmp_path: Path) -> None:
    require("cmake")
    require("gcc")
    write_folder(tmp_path / "package", pack(package, "cmake", None))
    command(tmp_path, "cmake", "-S", "package", "-B", "build")
    assert "wrong elements: 0\n" in command(tmp_path, "cmake", "--build", "build", "--target", "run")
    command(tmp_path, "cmake", "--build", "build")
    command(tmp_path, "cmake", "--install", "build", "--prefix", "prefix")
    write_folder(tmp_path / "app", {"CMakeLists.txt": CONSUMER.encode(), "app.c": APP.encode()})
    command(tmp_path, "cmake", "-S", "app", "-B", "out", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")
    command(tmp_path, "cmake", "--build", "out")
    command(tmp_path, tmp_path / "out" / "app")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_the_same_each_time_and_holds_the_model_as_it_is(package: CPackage, name: str) -> None:
    for target in (None, *CORES):
        device = None if target is None else find_device(target)
        files = pack(package, name, device)
        assert files == pack(package, name, device)
        assert {f"model/{file}": data for file, data in package.files.items()}.items() <= files.items()
        assert all(data for data in files.values())
        assert not any("MODEL" in path for path in files)


def test_an_unknown_package_suggests_one(package: CPackage) -> None:
    with pytest.raises(MnetError) as caught:
        pack(package, "cmak", None)
    assert caught.value.diagnostics[0].code == "MN1106"
    assert "did you mean `cmake`?" in caught.value.diagnostics[0].help[0]


def test_the_example_of_a_network_that_gives_classes_names_them(tmp_path: Path) -> None:
    for tool in ("cmake", "arm-none-eabi-gcc", "qemu-system-arm"):
        require(tool)
    text = "mnet 1\n\nmodel net() {\n  input image: u8[8, 8, 3] { mean = 127.5, std = 127.5 }\n  x = conv2d(image, 3)\n"
    text += '  output map = x { labels = ["sky", "road", "car"] }\n'
    text += '  output classes = argmax(x) { labels = ["sky", "road", "car"] }\n}\n'
    module = build(SourceFile("net.mnet", text)).module
    module.resources.update(random_weights(module, 1))
    write_folder(tmp_path, pack(generate(optimize(module)), "cmake", find_device("cortex-m4")))
    command(tmp_path, "cmake", "-B", "build", TOOLCHAIN)
    command(tmp_path, "cmake", "--build", "build")
    lines = command(tmp_path, "cmake", "--build", "build", "--target", "run").splitlines()
    shown = [line for line in lines if line.startswith("net: ")]
    assert re.fullmatch(r"net: the largest of 192 map is \d+, (sky|road|car)", shown[0])
    assert re.fullmatch(r"net: the first of 64 classes is [0-2], (sky|road|car)", shown[1])
