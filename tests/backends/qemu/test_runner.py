"""The runner on emulated boards: every core, batches, observed layers, memory that does not suffice."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends.qemu.machines import MACHINES
from mnetdsl.backends.qemu.runner import QemuRunner
from mnetdsl.diagnostics import ExitCode, MnetError
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Op
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.types import ElementType, TensorType
from tests.backends.c.harness import Array, assert_same, random_inputs
from tests.backends.c.networks import small_mobilenet
from tests.graphs import GraphMaker

pytestmark = pytest.mark.usefixtures("emulator")


@pytest.mark.parametrize("core", MACHINES)
def test_every_core_gives_what_the_interpreter_gives_layer_by_layer(core: str) -> None:
    module = small_mobilenet()
    inputs = random_inputs(module, batch=3)
    wanted: dict[str, Array] = {}

    def keep(op: Op, result: Array) -> None:
        wanted[op.name] = result

    outputs = run(module, inputs, keep)
    names = list(wanted)
    assert_same(QemuRunner(module, core).run(inputs, names), {**wanted, **outputs})


def test_code_that_takes_rows_gives_the_same() -> None:
    module = small_mobilenet()
    inputs = random_inputs(module, batch=2)
    wanted: dict[str, Array] = {}
    outputs = run(module, inputs, lambda op, result: wanted.__setitem__(op.name, result))
    assert_same(QemuRunner(module, "cortex-m4", rows=True).run(inputs, list(wanted)), {**wanted, **outputs})


def test_a_layer_that_reshapes_an_input_shows_the_input() -> None:
    maker = GraphMaker("net", 0)
    port = maker.builder.input("image", TensorType((1, 4, 2, 2), ElementType.F32))
    reshape = maker.builder.add(OPERATIONS["reshape"], Location("flat"), operands={"input": port.value}, shape=(16,))
    flat = reshape.result
    maker.builder.output("out", maker.builder.add(OPERATIONS["relu"], operands={"input": flat}).result)
    inputs = random_inputs(maker.module, batch=2)
    found = QemuRunner(maker.module, "cortex-m4").run(inputs, ["flat"])
    np.testing.assert_array_equal(found["flat"], inputs["image"].reshape(2, 16))


def test_a_runner_answers_again_and_again() -> None:
    module = small_mobilenet()
    runner = QemuRunner(module, "cortex-m4")
    for seed in (1, 2):
        inputs = random_inputs(module, seed=seed)
        assert_same(runner.run(inputs), run(module, inputs))


def test_a_network_that_is_too_large_for_the_board_is_refused() -> None:
    maker = GraphMaker("net", 0)
    port = maker.builder.input("image", TensorType((1, 1400, 1400, 3), ElementType.F32))
    maker.builder.output("out", maker.builder.add(OPERATIONS["relu"], operands={"input": port.value}).result)
    with pytest.raises(MnetError) as caught:
        QemuRunner(maker.module, "cortex-m4").run(random_inputs(maker.module))
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["MN1905"]
    assert caught.value.exit_code is ExitCode.OVER_BUDGET
    assert any("BIG" in note for note in caught.value.diagnostics[0].notes)
