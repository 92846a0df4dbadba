"""Instructions and bytes: exact where they can be known otherwise, and the same each time."""

from __future__ import annotations

import pytest

from mnetdsl.backends.c import generate
from mnetdsl.backends.qemu import measurement
from mnetdsl.backends.qemu.machines import MACHINES
from mnetdsl.backends.qemu.measurement import JITTER, Measurement, measure
from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Module
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.types import ElementType, TensorType
from tests.backends.c.harness import random_inputs
from tests.backends.c.networks import small_mobilenet
from tests.graphs import GraphMaker

pytestmark = pytest.mark.usefixtures("emulator")


def measured(module: Module, core: str = "cortex-m4") -> Measurement:
    return measure(module, core, random_inputs(module))


@pytest.mark.parametrize("core", MACHINES)
def test_layers_add_up_to_the_whole(core: str) -> None:
    """Nearly: between layers there are a few instructions, and with hooks gcc allots registers differently."""
    found = measured(small_mobilenet(), core)
    assert sum(layer.instructions for layer in found.layers) == pytest.approx(found.instructions, rel=2e-3)
    assert min(layer.instructions for layer in found.layers) > 0


def test_bytes_are_those_of_plan_and_weights() -> None:
    package = generate(small_mobilenet())
    found = measured(small_mobilenet())
    assert found.arena == package.plan.arena_bytes
    assert package.program.weight_bytes <= found.constants < package.program.weight_bytes + 1024
    assert 1000 < found.code < 20_000
    assert 64 < found.stack < 2048


def test_software_floats_are_code_of_the_model() -> None:
    assert measured(small_mobilenet(), "cortex-m3").code > measured(small_mobilenet(), "cortex-m4").code + 500


def test_a_measurement_repeats_to_the_instruction() -> None:
    assert measured(small_mobilenet()) == measured(small_mobilenet())


def test_twice_the_elements_take_twice_the_instructions() -> None:
    """The fixed part cancels in differences; a clock that is off by a tick does not go unnoticed."""

    def instructions(elements: int) -> int:
        maker = GraphMaker("net", 0)
        port = maker.builder.input("x", TensorType((1, elements), ElementType.F32))
        maker.builder.output("y", maker.builder.add(OPERATIONS["relu"], operands={"input": port.value}).result)
        return measured(maker.module).layers[0].instructions

    first, second, third = (instructions(count) for count in (1600, 3200, 4800))
    assert abs((third - second) - (second - first)) <= 2 * JITTER
    assert second - first > 1600


def test_an_emulator_that_miscounts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "SPIN", 40)
    with pytest.raises(MnetError) as caught:
        measured(small_mobilenet())
    assert caught.value.diagnostics[0].code == "MN1906"
