"""Integer models called wrongly, two at a time, and under sanitizers with layers of random sizes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mnetdsl import interpreter
from mnetdsl.backends.c import Options, generate
from mnetdsl.backends.c.selftest import SelfTest
from mnetdsl.files import write_folder
from mnetdsl.ir.core import Module
from mnetdsl.ir.types import ElementType, Storage
from mnetdsl.passes.pipelines import optimize
from mnetdsl.quantize.apply import apply_quantization, quantizable, tensor_names
from mnetdsl.sema import build
from mnetdsl.sema.quantization import QuantizedTensor
from mnetdsl.source import SourceFile
from mnetdsl.targets import CORES
from mnetdsl.weights.random import random_weights
from tests.backends.c.harness import sources
from tests.backends.c.quantized.test_networks import I8, I16, U8, quantized
from tests.toolchain import require

HERE = Path(__file__).parent
TARGETS = (None, "cortex-m4", "cortex-m55")
SANITIZED = ("-std=c99", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.mark.parametrize("core", [None, "cortex-m4", "cortex-m55"])
def test_wrong_calls_have_their_status_and_contexts_do_not_disturb_each_other(core: str | None, tmp_path: Path) -> None:
    require("gcc")
    module = quantized("mobilenet_v2", I8, alpha=0.35, resolution=32, classes=10)
    files = generate(module, "net", Options(core=CORES[core] if core else None)).files
    folder = tmp_path / "net"
    write_folder(folder, {**files, **sources(HERE / "misuse.c")})
    command = ["gcc", *SANITIZED, "-Wall", "-Wextra", "-Werror", "misuse.c", "net.c", "net_weights.c", "-lm"]
    subprocess.run([*command, "-o", "misuse"], cwd=folder, check=True)
    done = subprocess.run(["./misuse"], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def random_layers(seed: int, last: str = "softmax") -> str:
    """A network of layers whose sizes, strides, paddings and activations are drawn; `last` makes the output."""
    random = np.random.default_rng(seed)

    def one_of(*choices: object) -> object:
        return choices[int(random.integers(len(choices)))]

    size = f"{one_of(17, 20, 23)}, {one_of(16, 19, 25)}, {one_of(1, 3, 4)}"
    lines: list[object] = [f"input image: u8[{size}] {{ mean = 127.5, std = 127.5 }}"]
    lines.append(f"x = conv2d(image, {one_of(3, 4, 8, 13)}, kernel = 3, stride = {one_of(1, 2)}) as stem")
    lines.append("x = relu6(x)")
    for i in range(4):
        channels, padding = one_of(2, 4, 7, 8, 12, 16, 19), one_of("same", "symmetric")
        lines += [
            f"x = depthwise_conv2d(x, {one_of(3, 5)}, stride = {one_of(1, 1, 2)}, padding = {padding}) as dw{i}",
            f"x = {one_of('relu6', 'relu', 'hard_swish', 'sigmoid')}(x)",
            f"y = conv2d(x, {channels}, kernel = {one_of(1, 3)}) as branch{i}",
            f"x = conv2d(x, {channels}) as pw{i}",
            one_of(
                "x = add(x, y)",
                "x = concat([x, y])",
                f"x = squeeze_excite(x, 4) as se{i}",
                "x = max_pool(x, 3, stride = 1, padding = same)",
            ),
        ]
    lines += [f"x = dense(global_avg_pool(x), {one_of(2, 5, 8)}) as scores", f"output logits = {last}(x)"]
    return (
        "mnet 1\n\nuse std.blocks { squeeze_excite }\n\n"
        + "\n  ".join(["model net() {", *(str(line) for line in lines)])
        + "\n}\n"
    )


def integer_module(text: str, storage: Storage) -> Module:
    module = build(SourceFile("net.mnet", text)).module
    unsigned = storage.element is ElementType.U8
    rows = [QuantizedTensor(name, storage, None, False, unsigned) for name in tensor_names(quantizable(module))]
    found = apply_quantization(module, rows)
    found.resources.update(random_weights(found, 1))
    return optimize(found)


@pytest.mark.parametrize(
    ("seed", "storage", "core"),
    [
        (0, I8, None),
        (1, U8, None),
        (2, I16, None),
        (3, I8, "cortex-m4"),
        (4, I8, "cortex-m55"),
        *[pytest.param(seed, I8, core, marks=pytest.mark.slow) for seed in range(5, 11) for core in TARGETS],
    ],
    ids=lambda value: value.element.value if isinstance(value, Storage) else str(value),
)
def test_kernels_are_clean_under_sanitizers_at_random_sizes_and_have_the_interpreters_bits(
    seed: int, storage: Storage, core: str | None, tmp_path: Path
) -> None:
    """AddressSanitizer sees the ends of inputs, outputs and arena; every layer is compared by the self-test."""
    require("gcc")
    module = integer_module(random_layers(seed, "relu" if storage is I16 else "softmax"), storage)
    (port,) = module.graph.inputs
    images = np.random.default_rng(seed).integers(0, 256, (2, *port.value.type.shape[1:])).astype(np.uint8)
    images[1] = 255
    layers: dict[str, np.ndarray] = {}
    outputs = interpreter.run(module, {port.name: images}, lambda op, array: layers.__setitem__(op.name, array))
    test = SelfTest({port.name: images}, outputs, layers=layers)
    folder = tmp_path / "net"
    write_folder(folder, generate(module, "net", Options(selftest=test, core=CORES[core] if core else None)).files)
    sources = ["net.c", "net_weights.c", "net_selftest.c", "net_main.c", "-lm"]
    subprocess.run(["gcc", *SANITIZED, "-DNET_SELFTEST_LAYERS=1", *sources, "-o", "net"], cwd=folder, check=True)
    done = subprocess.run(["./net"], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "net: passed, 0 wrong\n", "")
