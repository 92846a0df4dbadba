"""Generated integer C gives the interpreter's bits in every layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnetdsl
from mnetdsl import interpreter
from mnetdsl.backends.c import generate
from mnetdsl.backends.c.host import HostLibrary, HostRunner
from mnetdsl.backends.c.toolchain import compile_objects, find_compiler
from mnetdsl.files import write_folder
from mnetdsl.ir.core import Module
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.passes.pipelines import optimize
from mnetdsl.quantize.apply import apply_quantization, quantizable, tensor_names
from mnetdsl.sema.quantization import QuantizedTensor
from mnetdsl.weights.random import random_weights
from tests.toolchain import require

I8 = Storage(ElementType.I8, Quantization.per_tensor(0.05, -3))
U8 = Storage(ElementType.U8, Quantization.per_tensor(0.05, 120))
I16 = Storage(ElementType.I16, Quantization.per_tensor(0.001, 0))
STRICT = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-pedantic")


def quantized(name: str, storage: Storage, **parameters: Any) -> Module:
    module = mnetdsl.load(name, **parameters).module
    rows = [
        QuantizedTensor(tensor, storage, None, False, storage.element is ElementType.U8)
        for tensor in tensor_names(quantizable(module))
    ]
    found = apply_quantization(module, rows)
    found.resources.update(random_weights(found, 1))
    return optimize(found)


NETWORKS = [
    ("mobilenet_v1", I8, {"alpha": 0.25, "resolution": 64}),
    ("mobilenet_v1", U8, {"alpha": 0.25, "resolution": 64}),
    ("mobilenet_v2", I16, {"alpha": 0.35, "resolution": 64}),
    ("mobilenet_v3_small", I8, {"alpha": 0.75, "resolution": 64}),
    ("mobilenet_v3_small", I16, {"alpha": 0.35, "resolution": 32}),
]
IDS = [f"{name}-{storage.element.value}" for name, storage, _ in NETWORKS]


@pytest.mark.parametrize(("name", "storage", "parameters"), NETWORKS, ids=IDS)
def test_every_layer_has_the_interpreters_bits(name: str, storage: Storage, parameters: dict[str, float]) -> None:
    require("gcc")
    module = quantized(name, storage, **parameters)
    shape = module.graph.inputs[0].value.type.shape[1:]
    made_up = np.random.default_rng(0).integers(0, 256, (1, *shape)).astype(np.uint8)
    image = np.concatenate([made_up, np.zeros_like(made_up), np.full_like(made_up, 255)])
    expected: dict[str, np.ndarray] = {}
    outputs = interpreter.run(module, {"image": image}, lambda op, array: expected.__setitem__(op.name, array))
    found = HostRunner(module).run({"image": image}, observe=expected)
    assert set(found) >= set(expected)
    assert [layer for layer, array in expected.items() if not np.array_equal(found[layer], array)] == []
    assert all(np.array_equal(found[output], array) and array.std() > 1 for output, array in outputs.items())


def test_tensors_of_8_and_16_bits_stand_beside_each_other() -> None:
    """Layers that widen and narrow, in place where they can, and products of both widths."""
    require("gcc")
    module = mnetdsl.load("mobilenet_v3_small", resolution=64).module
    names = tensor_names(quantizable(module))
    rows = [
        QuantizedTensor(name, I16 if "depthwise.conv" in name or name.startswith("stem") else I8, None, False, False)
        for name in names
    ]
    found = apply_quantization(module, rows)
    found.resources.update(random_weights(found, 1))
    found = optimize(found)
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    expected: dict[str, np.ndarray] = {}
    interpreter.run(found, {"image": image}, lambda op, array: expected.__setitem__(op.name, array))
    ours = HostRunner(found).run({"image": image}, observe=expected)
    assert [layer for layer, array in expected.items() if not np.array_equal(ours[layer], array)] == []


@pytest.mark.parametrize("storage", [I8, U8, I16], ids=["i8", "u8", "i16"])
def test_layers_that_compute_in_float_stand_between_integer_ones(storage: Storage) -> None:
    """One depthwise, one pointwise and the dense layer; their sums differ from the interpreter's in their order, so
    that a number in a thousand may be rounded to its neighbour."""
    require("gcc")
    module = mnetdsl.load("mobilenet_v1", alpha=0.25, resolution=32).module
    names = tensor_names(quantizable(module))
    islands = ("body.1.depthwise.conv", "body.3.pointwise.conv", "logits")
    assert set(islands) <= set(names)
    unsigned = storage.element is ElementType.U8
    rows = [QuantizedTensor(tensor, storage, None, tensor in islands, unsigned) for tensor in names]
    found = apply_quantization(module, rows)
    found.resources.update(random_weights(found, 1))
    found = optimize(found)
    floats = {op.name for op in found.graph.operations if op.type.element is ElementType.F32 and op.name in islands}
    assert floats == set(islands)
    image = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    layers: dict[str, np.ndarray] = {}
    (expected,) = interpreter.run(
        found, {"image": image}, lambda op, array: layers.__setitem__(op.name, array)
    ).values()
    before = [name for name in layers if name.startswith("body.0.")]
    runner = HostRunner(found)
    (result,) = runner.run({"image": image}).values()
    same = runner.run({"image": image}, observe=before)
    assert all(np.array_equal(same[name], layers[name]) for name in before)
    assert result.dtype == expected.dtype
    difference = np.abs(result.astype(np.int64) - expected.astype(np.int64))
    assert difference.max() <= 1 if storage is not I16 else difference.max() <= 4
    assert expected.std() > 1


@pytest.mark.parametrize(("name", "storage", "parameters"), NETWORKS, ids=IDS)
def test_integer_code_is_clean_and_needs_no_math_library(
    name: str, storage: Storage, parameters: dict[str, float], tmp_path: Path
) -> None:
    require("gcc")
    package = generate(quantized(name, storage, **parameters))
    write_folder(tmp_path / "c", package.files)
    source = (tmp_path / "c" / f"{name}.c").read_text()
    assert "math.h" not in source
    assert "malloc" not in source
    compile_objects(find_compiler(), sorted((tmp_path / "c").glob("*.c")), [*STRICT, "-I", str(tmp_path / "c")])


def test_no_kernel_touches_memory_beside_its_own() -> None:
    """Under the sanitizers a read or write beside a buffer, or an overflow, ends the process."""
    require("gcc")
    module = quantized("mobilenet_v3_small", I8, alpha=0.35, resolution=32)
    package = generate(module)
    flags = ("-std=c99", "-O1", "-fPIC", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-static-libubsan")
    library = HostLibrary(package, flags)
    arena = np.full(package.plan.arena_bytes + 64, 0xA5, np.uint8)
    start = -arena.ctypes.data % 8
    inside = arena[start : start + package.plan.arena_bytes]
    image = np.full((32, 32, 3), 255, np.uint8)
    logits = np.empty(1000, np.int8)
    assert library.call(inside, [image], [logits]) == 0
    assert (arena[start + package.plan.arena_bytes :] == 0xA5).all()
