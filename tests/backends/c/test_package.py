"""The folder of files: builds as it is, everywhere, twice the same, and touches the memory it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.backends.c import Options, SelfTest, generate
from mnetdsl.backends.c.host import HostLibrary, HostRunner
from mnetdsl.backends.c.ops import RULES
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from mnetdsl.ir.ops import FLOAT_OPERATIONS
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.ir.types import ElementType
from tests.backends.c.harness import STRICT, Array, Cases, assert_same, random_inputs, run_command, sources, write
from tests.backends.c.networks import Network, random_network, small_mobilenet
from tests.golden import Golden
from tests.toolchain import require

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def vectors(module: Module, count: int = 2) -> SelfTest:
    inputs = random_inputs(module, count)
    return SelfTest(inputs, run(module, inputs))


def every_operation() -> Module:
    """Each operation that has a kernel."""
    cases = Cases("every")
    for opcode in UNARY_FUNCTIONS:
        cases.finish(cases.op(opcode, {"input": cases.value(3)}))
    image = cases.op("normalize", {"input": cases.input(4, 4, 3, element=ElementType.U8)}, mean=(1.0,), std=(2.0,))
    statistics = {name: cases.weight(3) for name in ("scale", "offset", "mean")}
    variance = cases.maker.constant("variance", np.array([1, 2, 3], np.float32))
    x = cases.op("batch_norm", {"input": image, "variance": variance, **statistics})
    x = cases.op("layer_norm", {"input": x, "scale": cases.weight(3), "offset": cases.weight(3)})
    product = cases.op("mul", {"left": x, "right": x})
    cases.finish(cases.op("add", {"left": x, "right": cases.op("sub", {"left": product, "right": x})}))
    for multiplier in (1, 2):
        filter = cases.weight(3, 3, 3, multiplier)
        cases.finish(cases.op("depthwise_conv2d", {"input": x, "filter": filter}, padding=(1, 1, 1, 1)))
    for kernel in (1, 3):
        x = cases.op("conv2d", {"input": x, "filter": cases.weight(kernel, kernel, 3, 3)}, padding=(1, 1, 1, 1))
    turned = cases.op("transpose", {"input": x}, order=(2, 0, 1))
    cases.finish(cases.op("slice", {"input": turned}, begin=(1, 0, 0), size=(2, 4, 3)))
    cases.finish(cases.op("resize", {"input": x}, size=(5, 6)))
    cases.finish(cases.op("resize", {"input": x}, size=(5, 6), method="nearest"))
    cases.maker.builder.output("indices", cases.op("argmax", {"input": x}))
    for opcode in ("avg_pool", "max_pool"):
        cases.finish(cases.op(opcode, {"input": x}, kernel=(2, 2)))
    x = cases.op("concat", {"inputs": [x, cases.op("pad", {"input": x}, padding=(0, 0, 0, 0))]}, axis=3)
    x = cases.op("dense", {"input": cases.op("global_avg_pool", {"input": x}), "filter": cases.weight(6, 2)})
    row = cases.op("reshape", {"input": cases.op("softmax", {"input": x})}, shape=(1, 2))
    cases.finish(cases.op("matmul", {"left": row, "right": row}, transpose="right", scale=0.5))
    return cases.module


def test_every_operation_has_a_rule_in_a_module_of_its_name() -> None:
    """`constant` and `reshape` need none: a table, and another view of the same bytes."""
    assert set(RULES) == set(FLOAT_OPERATIONS) - {"constant", "reshape"}
    used = {op.opcode for op in every_operation().graph.operations}
    assert used == set(FLOAT_OPERATIONS)
    files = {Path(kind.__module__.replace(".", "/")).name for kind in FLOAT_OPERATIONS.values()}
    rules = ROOT / "mnetdsl/backends/c/ops"
    assert not {name for name in files if not (rules / f"{name}.py").is_file()}


@pytest.mark.parametrize(
    "command",
    [
        ("gcc", "-std=c99", "-pedantic"),
        ("clang", "-std=c99", "-pedantic"),
        ("g++", "-x", "c++", "-std=c++17"),
        ("clang++", "-x", "c++", "-std=c++17"),
    ],
    ids=" ".join,
)
def test_every_file_compiles_without_a_warning(tmp_path: Path, command: tuple[str, ...]) -> None:
    require(command[0])
    for module in (small_mobilenet(), every_operation()):
        package = generate(module, module.name, Options(selftest=vectors(module, 1)))
        folder = write(tmp_path / module.name, package.files)
        sources = sorted(name for name in package.files if name.endswith(".c"))
        run_command([*command, *STRICT, f"-D{package.program.macro}_LAYER_NAMES=1", "-c", *sources], folder)


def test_the_makefile_builds_and_its_program_answers_as_the_interpreter(tmp_path: Path) -> None:
    require("gcc")
    require("make")
    module = small_mobilenet()
    folder = write(tmp_path, generate(module, options=Options(selftest=vectors(module))).files)
    run_command(["make"], folder)
    check_program(folder, module, ["./tiny_main"])


def test_the_cmake_file_builds_and_its_program_answers_as_the_interpreter(tmp_path: Path) -> None:
    require("cmake")
    module = small_mobilenet()
    folder = write(tmp_path, generate(module, options=Options(selftest=vectors(module))).files)
    run_command(["cmake", "-S", ".", "-B", "build"], folder)
    run_command(["cmake", "--build", "build"], folder)
    check_program(folder, module, ["build/tiny_main"])


def check_program(folder: Path, module: Module, command: list[str]) -> None:
    inputs = random_inputs(module, seed=5)
    (folder / "image.bin").write_bytes(inputs["image"].tobytes())
    run_command([*command, "image.bin", "scores.bin"], folder)
    scores = np.fromfile(folder / "scores.bin", np.float32)[None]
    assert_same({"scores": scores}, run(module, inputs))
    assert run_command(command, folder) == "tiny: passed, 0 wrong\n"
    (folder / "short.bin").write_bytes(b"123")
    for arguments in (
        ["short.bin", "out.bin"],
        ["missing.bin", "out.bin"],
        ["image.bin"],
        ["image.bin", "no/such/out"],
    ):
        done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, check=False)
        assert done.returncode in (1, 2)
        assert done.stderr
        assert not (folder / "out.bin").exists()


def test_a_self_test_with_a_wrong_answer_fails(tmp_path: Path) -> None:
    require("gcc")
    require("make")
    module = small_mobilenet()
    good = vectors(module)
    wrong = SelfTest(good.inputs, {"scores": good.outputs["scores"] + np.array([[0, 0.01, 0], [0, 0, 0]], np.float32)})
    folder = write(tmp_path, generate(module, options=Options(selftest=wrong)).files)
    run_command(["make"], folder)
    done = subprocess.run(["./tiny_main"], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "tiny: failed, 1 wrong\n")


def test_two_models_link_into_one_program(tmp_path: Path) -> None:
    require("gcc")
    first, second = small_mobilenet("one", seed=1), small_mobilenet("two", seed=2)
    for module in (first, second):
        files = generate(module).files
        write(tmp_path, {name: data for name, data in files.items() if not name.endswith("_main.c")})
    inputs = random_inputs(first)
    (tmp_path / "image.bin").write_bytes(inputs["image"].tobytes())
    write(tmp_path, {"both.c": (HERE / "two_models.c").read_bytes()})
    sources = [f"{name}{part}.c" for name in ("one", "two") for part in ("", "_weights", "_labels")]
    run_command(["gcc", "-std=c99", *STRICT, "both.c", *sources, "-lm", "-o", "both"], tmp_path)
    run_command(["./both"], tmp_path)
    answers = np.fromfile(tmp_path / "scores.bin", np.float32).reshape(2, 1, 3)
    for module, answer in zip((first, second), answers, strict=True):
        assert_same({"scores": answer}, run(module, inputs))


def touched_bytes(library: HostLibrary, module: Module, size: int, outputs: list[Array]) -> NDArray[np.bool_]:
    """Which bytes of an arena and of 64 more behind it a run writes: painted with two patterns, as one of them may
    be what is written."""
    images = [array[0] for array in random_inputs(module).values()]
    touched = np.zeros(size + 64, bool)
    for paint in (0x5A, 0xC3):
        memory: Array = np.full(size + 128, paint, np.uint8)
        memory = memory[-memory.ctypes.data % 64 :][: size + 64]
        assert library.call(memory[:size], images, outputs) == 0
        touched |= memory != paint
    return touched


@pytest.mark.parametrize("seed", [None, 1, 2, 3, 7])
def test_exactly_the_stated_arena_is_touched(seed: int | None) -> None:
    require("gcc")
    module = small_mobilenet() if seed is None else random_network(seed)
    package = generate(module)
    size = package.program.arena_bytes
    outputs: list[Array] = [np.empty(port.value.type.shape[1:], np.float32) for port in module.graph.outputs]
    touched = touched_bytes(HostLibrary(package), module, size, outputs)
    assert not touched[size:].any()
    assert touched[size - 4 : size].any()
    tensors, scratch = np.zeros((2, size), bool)
    for buffer in package.plan.buffers:
        tensors[buffer.offset : buffer.offset + buffer.size] = True
    for step in package.plan.steps:
        if step.scratch is not None:
            scratch[step.scratch.offset : step.scratch.offset + step.scratch.size] = True
    assert not touched[:size][~tensors & ~scratch].any()
    assert touched[:size][tensors].reshape(-1, 4).any(axis=1).all()
    found = {port.name: array[None] for port, array in zip(module.graph.outputs, outputs, strict=True)}
    assert_same(found, run(module, random_inputs(module)), 1e-5)


def test_mobilenet_v2_touches_every_byte_of_its_arena_and_none_behind_it() -> None:
    """At 224x224, with tables of zeros in place of millions of digits: where it writes does not depend on them."""
    require("gcc")
    network = mnetdsl.load("mobilenet_v2").optimized()
    resources: dict[str, NDArray[np.generic]] = {
        str(op.attributes["resource"]): np.zeros(op.type.shape, np.float32) for op in network.graph.constants()
    }
    module = Module(network.name, network.graph, resources)
    package = generate(module)
    text = re.sub(rb"(?m)^    0\.0f.*\n", b"", package.files["mobilenet_v2_weights.c"]).replace(b"{\n}", b"{0}")
    assert len(text) < 100_000
    library = HostLibrary(replace(package, files={**package.files, "mobilenet_v2_weights.c": text}))
    size = package.program.arena_bytes
    touched = touched_bytes(library, module, size, [np.empty(1000, np.float32)])
    assert size == package.plan.lower_bound == 112 * 112 * 96 * 4
    assert touched[:size].reshape(-1, 4).any(axis=1).all()
    assert not touched[size:].any()


def test_misuse_gives_the_stated_status(tmp_path: Path) -> None:
    require("gcc")
    module = small_mobilenet()
    package = generate(module)
    folder = write(tmp_path, {**package.files, **sources(HERE / "misuse.c")})
    flags = ["-std=c99", *STRICT, "-DTINY_LAYER_NAMES=1", "-fsanitize=address,undefined"]
    run_command(["gcc", *flags, "misuse.c", "tiny.c", "tiny_weights.c", "-lm", "-o", "misuse"], folder)
    run_command(["./misuse"], folder)


def test_the_same_module_gives_the_same_bytes_under_another_hash_seed_and_folder(tmp_path: Path) -> None:
    script = (
        "import hashlib, sys\n"
        "from tests.backends.c.networks import small_mobilenet, random_network\n"
        "from mnetdsl.backends.c import generate\n"
        "for module in (small_mobilenet(), random_network(4)):\n"
        "    for name, data in generate(module).files.items():\n"
        "        print(name, hashlib.sha256(data).hexdigest())\n"
    )
    answers = set()
    for seed, folder, locale in (("1", tmp_path, "C"), ("2", ROOT, "C.UTF-8")):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "LC_ALL": locale, "TZ": "Asia/Tokyo"}
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        answers.add(done.stdout)
    assert len(answers) == 1


def test_no_file_names_a_folder_or_the_time() -> None:
    package = generate(small_mobilenet())
    for name, data in package.files.items():
        text = data.decode()
        assert "some/where" not in text, name
        assert not re.search(r"20\d\d-\d\d|\d\d:\d\d:\d\d", text), name
    assert b"net.mnet:4" in package.files["tiny.c"]


def test_the_model_uses_nothing_of_the_c_library_but_what_its_header_says() -> None:
    net = Network("plain")
    x = net.conv("stem", net.input(8, 8, 3), 8, 3, 2, activation="relu6")
    net.builder.output("map", net.depthwise("next", x, activation="hard_swish"))
    package = generate(net.module)
    included = set(
        re.findall(r"#include <(.*)>", "".join(package.files[f"plain{part}"].decode() for part in (".c", ".h")))
    )
    assert included == {"stddef.h", "stdint.h"}
    assert b"-lm" not in package.files["Makefile"]
    text = generate(small_mobilenet()).files["tiny.h"].decode()
    assert "the math library for expf (link with -lm)" in text
    for word in ("malloc", "memcpy", "alloca", "static float ", "static int32_t i"):
        assert word.encode() not in package.files["plain.c"]


def test_the_manifest_states_what_the_files_hold() -> None:
    package = generate(small_mobilenet())
    manifest = json.loads(package.files["manifest.json"])
    assert manifest["arena"]["bytes"] == package.plan.arena_bytes
    assert manifest["arena"]["lower_bound"] == package.plan.lower_bound
    assert set(manifest["files"]) == set(package.files) - {"manifest.json"}
    assert manifest["inputs"][0]["shape"] == [16, 16, 3]
    assert manifest["outputs"][0]["labels"][2] == "bird"
    assert [layer["name"] for layer in manifest["layers"]][1] == "stem"


def test_the_generated_c_of_a_small_model_is_as_recorded_and_runs(golden: Golden) -> None:
    require("gcc")
    net = Network("golden")
    x = net.conv("stem", net.input(4, 4, 2), 3, activation="relu6")
    x = net.depthwise("filter", x, activation="none")
    module = net.output(net.layer("mean", "global_avg_pool", {"input": x}), "means")
    package = generate(module)
    for name in ("golden.h", "golden.c", "golden_weights.c"):
        golden.check(HERE / "golden" / f"{name}.txt", package.files[name].decode())
    inputs = random_inputs(module, 2)
    assert_same(HostRunner(module).run(inputs), run(module, inputs))
