"""Memory against instructions: bands of rows compute the same, cost less the deeper they are, and a budget chooses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.backends.c import Options
from mnetdsl.backends.c.host import HostRunner
from mnetdsl.backends.c.rows import plan_row_memory
from mnetdsl.backends.c.trade import Chosen, choose
from mnetdsl.backends.qemu.measurement import measure
from mnetdsl.cli.main import main
from mnetdsl.diagnostics import ExitCode, MnetError
from mnetdsl.images import random_input
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from mnetdsl.passes.context import Remark
from mnetdsl.plan.rows import Bands
from mnetdsl.targets import CORES
from tests.backends.c.harness import random_inputs
from tests.backends.c.networks import small_mobilenet
from tests.backends.c.quantized.layers import different
from tests.backends.c.quantized.test_networks import I8, quantized
from tests.toolchain import require

Array = NDArray[Any]
M4 = Options(core=CORES["cortex-m4"])
ALL = 10**12
QUANTIZED = """mnet 1

model net() {
  input image: u8[48, 48, 3] { mean = 128, std = 128 }
  x = conv2d(image, 16, kernel = 3, stride = 2) as stem
  x = depthwise_conv2d(relu6(x)) as depthwise
  x = conv2d(relu6(x), 32) as pointwise
  x = depthwise_conv2d(relu6(x), stride = 2) as down
  x = global_avg_pool(relu6(x)) as mean
  output logits = dense(x, 4) as classifier
}

deploy stored of net() {
  table quantization {
    tensor        type  scale             zero_point
    "image"       i8    0.0078125         0
    "stem"        i8    0.02352941176     -128
    "depthwise"   i8    0.02352941176     -128
    "pointwise"   i8    0.02352941176     -128
    "down"        i8    0.02352941176     -128
    "mean"        i8    0.02352941176     -128
    "classifier"  i8    0.05              0
  }
}
"""


@pytest.fixture(scope="module")
def network() -> Module:
    """As a trained one: results of relu6 are stored from its 0 to its 6, so that the measured kernels run."""
    from benchmarks.mcu import made_up

    return made_up("mobilenet_v1", {"alpha": 0.25, "resolution": 64, "classes": 2})


@pytest.mark.parametrize(("core", "band"), [(None, 2), ("cortex-m4", 3), ("cortex-m55", 4), ("cortex-m4", 8)])
def test_bands_give_the_interpreters_bits_in_every_layer(core: str | None, band: int) -> None:
    require("gcc")
    module = quantized("mobilenet_v1", I8, alpha=0.25, resolution=32)
    inputs = random_inputs(module, batch=2)
    expected: dict[str, Array] = {}
    outputs = run(module, inputs, lambda op, array: expected.__setitem__(op.name, array))
    wanted = {op.name for op in module.graph.operations if op.opcode != "constant"}
    options = Options(core=None if core is None else CORES[core], rows=True, bands=Bands(band))
    found = HostRunner(module, options).run(inputs, observe=wanted)
    assert different(found, {name: array for name, array in expected.items() if name in wanted} | outputs) == []


def test_bands_of_a_float_network_with_residuals_give_the_bits_of_its_whole_image() -> None:
    require("gcc")
    module = small_mobilenet(size=32)
    inputs = random_inputs(module)
    whole = HostRunner(module).run(inputs)
    for band in (2, 4, 16):
        rows = HostRunner(module, Options(rows=True, bands=Bands(band))).run(inputs)
        for name, array in whole.items():
            np.testing.assert_array_equal(rows[name], array)


def instructions(module: Module, options: Options) -> int:
    inputs = {port.name: random_input(port, 1) for port in module.graph.inputs}
    return measure(module, "cortex-m4", inputs, options=options).instructions


def test_a_tighter_budget_takes_more_memory_and_fewer_counted_instructions(network: Module) -> None:
    """From single rows over bands to whole layers; what was predicted is what the emulator counts, within 6 %."""
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")
    loose = choose(network, M4, ALL)
    assert loose.options.rows
    assert loose.options.bands is not None
    assert loose.options.bands.band == 1
    chosen = [loose]
    while chosen[-1].options.rows:
        chosen.append(choose(network, M4, chosen[-1].instructions - 1))
    assert len(chosen) >= 3
    assert any(found.options.bands is not None and found.options.bands.band > 1 for found in chosen)
    arenas = [found.arena for found in chosen]
    assert arenas == sorted(arenas)
    banded = [found for found in chosen[1:-1] if _bands(found) > 1]
    ends = [chosen[0], banded[0], chosen[-1]]
    counted = [instructions(network, found.options) for found in ends]
    assert counted == sorted(counted, reverse=True)
    assert counted[0] > 1.02 * counted[-1]
    for found, count in zip(ends, counted, strict=True):
        assert found.instructions == pytest.approx(count, rel=0.06)


def _bands(found: Chosen) -> int:
    return 1 if found.options.bands is None else found.options.bands.band


def test_no_way_within_a_budget_has_a_smaller_arena_than_the_chosen_one(network: Module) -> None:
    """Every cut and band one by one."""
    from mnetdsl.backends.c.row_bands import BANDS
    from mnetdsl.backends.c.row_drafts import fronts_of
    from mnetdsl.backends.c.rows import lower_rows
    from mnetdsl.cost.instructions import expected

    fronts = [front[-1][0].name for front in fronts_of(network)][:6]
    ways = []
    for last in fronts:
        for band in BANDS[:3]:
            lowered = lower_rows(network, "net", Options(core=M4.core, rows=True, bands=Bands(band, last)))
            counts = [expected("cortex-m4", costs) for costs in lowered.costs]
            ways.append((sum(count or 0 for count in counts), lowered.plan.arena_bytes))
    for budget in sorted(count for count, _ in ways)[::4]:
        found = choose(network, Options(core=M4.core, rows=True), budget)
        assert found.instructions <= budget
        assert found.arena <= min(arena for count, arena in ways if count <= budget)


def test_a_budget_that_no_way_meets_names_the_costliest_layers(network: Module) -> None:
    for rows in (False, True):
        with pytest.raises(MnetError) as raised:
            choose(network, Options(core=M4.core, rows=rows), 1_000_000)
        assert raised.value.exit_code is ExitCode.OVER_BUDGET
        (said,) = raised.value.diagnostics
        assert said.code == "MN1116"
        assert "1,000,000 are available" in said.message
        assert "too many" in said.message
        assert "`stem" in said.notes[0]


def test_what_was_never_measured_is_no_basis_for_a_budget() -> None:
    with pytest.raises(MnetError) as raised:
        choose(small_mobilenet(), M4, ALL)
    assert [item.code for item in raised.value.diagnostics] == ["MN1117"]


def test_compile_takes_a_budget(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    net = quantized_folder(tmp_path)
    command = ["compile", str(net), "--weights", "random:1", "--target", "cortex-m4", "-o", str(tmp_path / "out")]
    sizes = {}
    for budget in (None, "1G"):
        assert main([*command, "--format", "json", *(["--instructions", budget] if budget else [])]) == 0
        said = json.loads(capsys.readouterr().out)
        sizes[budget] = said["arena"]["bytes"]
    assert sizes["1G"] < sizes[None]
    assert "1,000,000,000 allowed" in said["instructions"]
    assert "by rows" in said["instructions"]
    assert main([*command, "--instructions", "1G"]) == 0
    assert "instructions: " in capsys.readouterr().out
    assert main([*command, "--instructions", "10k"]) == 3
    assert "MN1116" in capsys.readouterr().err
    assert main([*command, "--instructions", "many"]) == 2
    command[command.index("cortex-m4")] = "host-c"
    assert main([*command, "--instructions", "1G"]) == 2
    assert "MN1117" in capsys.readouterr().err
    summary = ["summary", str(net), "--weights", "random:1", "--target", "cortex-m4", "--format", "json"]
    assert main([*summary, "--instructions", "1G"]) == 0
    assert json.loads(capsys.readouterr().out)["target"]["total"]["arena"] == sizes["1G"]


def quantized_folder(folder: Any) -> Any:
    """A network whose text says how it is stored."""
    path = folder / "net.mnet"
    path.write_text(QUANTIZED)
    return path


def test_the_remark_of_the_api_says_which_way_was_taken(tmp_path: Any) -> None:
    said: list[Remark] = []
    network = mnetdsl.load(quantized_folder(tmp_path)).with_weights("random:1")
    files = network.compile("cortex-m4", instructions=ALL, remark=said.append)
    assert "run by rows" in said[0].message
    assert b"stored_feed_rows" in files["stored.h"]


def test_without_a_tight_budget_memory_is_the_least_that_rows_take() -> None:
    """Layers behind a squeeze-and-excite run by rows as well."""
    from benchmarks.mcu import made_up

    module = made_up("mobilenet_v3_small", {"alpha": 0.35, "resolution": 64, "classes": 4})
    least = plan_row_memory(module, core=M4.core)
    assert least.plan.arena_bytes < plan_row_memory(module, core=M4.core, wanted=Bands(behind=False)).plan.arena_bytes
    assert choose(module, M4, ALL).arena == least.plan.arena_bytes
