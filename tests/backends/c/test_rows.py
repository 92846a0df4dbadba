"""C that runs by rows: the same bits in every layer, exactly the stated memory, and less of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.backends.c import Options, generate, plan_memory, plan_rows
from mnetdsl.backends.c.host import HostLibrary, HostRunner
from mnetdsl.backends.c.row_plan import Banded
from mnetdsl.backends.c.row_runs import runs
from mnetdsl.backends.c.rows import plan_row_memory
from mnetdsl.diagnostics import MnetError
from mnetdsl.files import write_folder
from mnetdsl.importers.tflite import import_tflite
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Value
from mnetdsl.plan.rows import Bands
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from mnetdsl.targets import CORES
from mnetdsl.validate import validate
from mnetdsl.weights.random import random_weights
from tests.backends.c.harness import STRICT, random_inputs, run_command, sources
from tests.backends.c.networks import small_mobilenet
from tests.backends.c.quantized.layers import Layers, different
from tests.backends.c.quantized.test_networks import I8, quantized
from tests.backends.c.test_package import touched_bytes
from tests.real_data import tflite
from tests.toolchain import require

Array = NDArray[Any]
HERE = Path(__file__).parent
TARGETS = [None, "cortex-m4", "cortex-m55"]


def options(core: str | None) -> Options:
    return Options(core=None if core is None else CORES[core], rows=True)


@pytest.mark.parametrize(
    ("name", "parameters", "core"),
    [
        *(("mobilenet_v1", {"alpha": 0.25, "resolution": 64}, core) for core in TARGETS),
        *(
            pytest.param(name, {"alpha": 0.35, "resolution": 64}, core, marks=pytest.mark.slow)
            for name in ("mobilenet_v2", "mobilenet_v3_small")
            for core in TARGETS
        ),
    ],
)
def test_every_layer_has_the_interpreters_bits(name: str, parameters: dict[str, float], core: str | None) -> None:
    require("gcc")
    module = quantized(name, I8, **parameters)
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    inputs = {"image": np.concatenate([image, 255 * (image > 127)]).astype(np.uint8)}
    expected: dict[str, Array] = {}
    outputs = run(module, inputs, lambda op, array: expected.__setitem__(op.name, array))
    runner = HostRunner(module, options(core))
    wanted = {op.name for op in module.graph.operations if op.opcode != "constant"}
    expected = {name: array for name, array in expected.items() if name in wanted} | outputs
    assert different(runner.run(inputs, observe=wanted), expected) == []
    whole = plan_memory(module, core=options(core).core).arena_bytes
    assert runner.package.plan.arena_bytes <= whole
    assert runner.package.plan.arena_bytes == plan_rows(module, options(core).core).arena_bytes


def test_a_float_network_has_the_bits_of_its_whole_image() -> None:
    """Expansion, depthwise and projection in order, a residual that the projection adds."""
    require("gcc")
    module = small_mobilenet(size=32)
    inputs = random_inputs(module)
    whole, rows = HostRunner(module).run(inputs), HostRunner(module, options(None)).run(inputs)
    for name, array in whole.items():
        np.testing.assert_array_equal(rows[name], array)


WINDOWS: list[dict[str, Any]] = [
    {"filter": (3, 3), "padding": (1, 1, 1, 1), "strides": (1, 1)},
    {"filter": (3, 3), "padding": (0, 1, 0, 1), "strides": (2, 2)},
    {"filter": (5, 5), "padding": (2, 2, 2, 2), "strides": (1, 1)},
    {"filter": (5, 5), "padding": (1, 2, 1, 2), "strides": (2, 2)},
    {"filter": (3, 3), "padding": (2, 2, 2, 2), "strides": (1, 1), "dilations": (2, 2)},
    {"filter": (2, 2), "padding": (0, 0, 0, 0), "strides": (3, 3)},
]


@pytest.mark.parametrize("core", TARGETS)
@pytest.mark.parametrize("number", range(len(WINDOWS)))
def test_windows_of_all_kinds_run_by_rows(number: int, core: str | None) -> None:
    """The image itself is read by a window, so a strip of it is kept; a residual waits; pools stand behind."""
    require("gcc")
    settings = dict(WINDOWS[number])
    filter = settings.pop("filter")
    layers = Layers(number)
    image = layers.input(16, 13, 4)
    first = layers.weighted("conv2d", image, (*filter, 4, 8), "relu", **settings)
    x = layers.weighted("conv2d", first, (1, 1, 8, 12))
    y = layers.weighted("depthwise_conv2d", x, (3, 3, 12, 1), padding=(1, 1, 1, 1))
    z = layers.op("add", {"left": x, "right": y}, layers.storage())
    deep = layers.weighted("depthwise_conv2d", z, (*filter, 12, 1), "relu", **_fitting(settings, z, filter))
    pooled = layers.op("max_pool", {"input": deep}, deep.type.storage, kernel=(2, 2), padding=(1, 0, 0, 1))
    layers.output(layers.weighted("conv2d", pooled, (1, 1, 12, 6)))
    inputs = layers.inputs()
    expected = layers.expected(inputs)
    names = {op.name for op in layers.module.graph.operations if op.opcode != "constant"}
    runner = HostRunner(layers.module, options(core))
    found = runner.run(inputs, observe=names)
    # Rows that no window reads are not computed.
    shown = {name: array for name, array in expected.items() if number != 5 or name.startswith("out")}
    shown.pop("image", None)
    assert different(found, {name: array for name, array in shown.items() if name in found}) == []


def _fitting(settings: dict[str, Any], value: Value, filter: tuple[int, int]) -> dict[str, Any]:
    reach = (filter[0] - 1) * settings.get("dilations", (1, 1))[0] + 1
    return settings if min(value.type.shape[1:3]) >= reach else {**settings, "padding": (reach - 1,) * 4}


def test_wrong_calls_and_all_ways_to_feed(tmp_path: Path) -> None:
    require("gcc")
    package = generate(small_mobilenet(), options=options(None))
    write_folder(tmp_path, {**package.files, **sources(HERE / "rows.c")})
    flags = ["-std=c99", *STRICT, "-fsanitize=address,undefined"]
    run_command(["gcc", *flags, "rows.c", "tiny.c", "tiny_weights.c", "-lm", "-o", "rows"], tmp_path)
    run_command(["./rows"], tmp_path)


@pytest.mark.parametrize("core", TARGETS)
def test_exactly_the_stated_arena_is_touched(core: str | None) -> None:
    require("gcc")
    module = quantized("mobilenet_v1", I8, alpha=0.25, resolution=64)
    package = generate(module, options=options(core))
    size = package.program.arena_bytes
    outputs: list[Array] = [
        np.empty(port.value.type.shape[1:], port.value.type.element.dtype) for port in module.graph.outputs
    ]
    touched = touched_bytes(HostLibrary(package), module, size, outputs)
    assert not touched[size:].any()
    assert touched[size - 4 : size].any()


def test_memory_of_a_real_network(tmp_path: Path) -> None:
    """vww_96: 20 KB by rows, 48 KB with the whole image (KERNELS.md)."""
    write_folder(tmp_path, import_tflite(tflite("vww_96_int8")).files)
    module = mnetdsl.load(tmp_path).with_weights().optimized()
    for core in TARGETS:
        arena = plan_rows(module, options(core).core).arena_bytes
        assert arena <= 20 * 1024
        assert arena + 96 * 96 * 3 <= 48 * 1024


@pytest.mark.parametrize("core", TARGETS)
def test_layers_between_two_squeezes_run_by_rows(core: str | None) -> None:
    """The gates of the first squeeze are read whole by each row; the map that the second one needs becomes whole."""
    require("gcc")
    module = quantized("mobilenet_v3_small", I8, alpha=0.35, resolution=64, classes=10)
    chosen = options(core)
    cut = plan_row_memory(module, core=chosen.core)
    behind = [part for part in cut.parts[1:] if isinstance(part, Banded)]
    names = {op.name for part in behind for op in part.layers}
    assert "body.1.expand.conv" in names
    assert cut.plan.arena_bytes < plan_row_memory(module, core=chosen.core, wanted=Bands(behind=False)).plan.arena_bytes
    image = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    expected: dict[str, Array] = {}
    run(module, {"image": image}, lambda op, array: expected.__setitem__(op.name, array))
    wanted = {op.name for part in behind for op in part.layers}
    found = HostRunner(module, chosen).run({"image": image}, observe=wanted)
    assert different(found, {name: expected[name] for name in wanted} | {"logits": expected["logits"]}) == []


def test_a_run_has_one_result_and_nothing_goes_around_it() -> None:
    module = quantized("mobilenet_v2", I8, alpha=0.35, resolution=64, classes=10)
    behind = [op for op in module.graph.operations if op.opcode != "constant"]
    found = list(runs(module.graph, behind))
    assert len(found) > 10
    for run_ in found:
        inside = {op for op, _ in run_}
        last = run_[-1][0]
        assert all(user in inside for op in inside - {last} for user in op.result.users)


def test_a_layer_with_rows_that_nobody_reads_is_not_compared() -> None:
    """A stride of 2 leaves the last row out, which is therefore not made."""
    require("gcc")
    text = "mnet 1\n\nmodel net() {\n  input image: u8[16, 16, 3]\n  x = conv2d(image, 4, kernel = 3) as first\n"
    text += "  x = conv2d(x, 8, stride = 2) as second\n  output logits = dense(global_avg_pool(x), 4)\n}\n"
    module = build(SourceFile("net.mnet", text)).module
    module.resources.update(random_weights(module, 1))
    found = validate(module, ["c:rows"])
    (rows,) = (backend for backend in found.backends if backend.name == "c:rows")
    assert rows.agrees
    names = [layer.name for layer in rows.layers]
    assert "second" in names
    assert "first" not in names


def test_the_same_network_gives_the_same_bytes() -> None:
    module = quantized("mobilenet_v1", I8, alpha=0.25, resolution=32)
    assert generate(module, options=options(None)).files == generate(module, options=options(None)).files


@pytest.mark.parametrize("kind", ["dense first", "two inputs"])
def test_what_takes_no_rows_is_told(kind: str) -> None:
    layers = Layers(1)
    x = layers.input(4, 4, 2)
    if kind == "dense first":
        x = layers.op("reshape", {"input": x}, shape=(32,))
        layers.output(layers.weighted("dense", x, (32, 3)))
    else:
        layers.output(layers.op("add", {"left": x, "right": layers.input(4, 4, 2)}, layers.storage()))
    with pytest.raises(MnetError) as raised:
        _rows(layers.module)
    assert [item.code for item in raised.value.diagnostics] == ["MN1115"]


def _rows(module: Module) -> None:
    plan_rows(module)
