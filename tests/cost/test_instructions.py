"""Predicted instructions: the fit that is checked in, and what it does with kernels that it does not know."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from mnetdsl.cost.instructions import Work, known_cores, predict, work
from tests.backends.c.quantized.test_networks import I8, quantized

HELD = json.loads((files("mnetdsl.cost") / "instructions.json").read_text(encoding="utf-8"))["held"]
WITHIN = {"cortex-m3": 0.09, "cortex-m55": 0.06}
"""Where 5 % is not reached, see docs/microcontrollers.md."""


@pytest.mark.parametrize(("core", "network"), [(core, name) for core in sorted(HELD) for name in sorted(HELD[core])])
def test_networks_that_were_not_used_for_the_fit_are_predicted(core: str, network: str) -> None:
    found = HELD[core][network]
    assert found["unknown"] == 0
    assert found["predicted"] == pytest.approx(found["counted"], rel=WITHIN.get(core, 0.05))


def test_a_kernel_that_was_not_measured_has_no_figure() -> None:
    assert predict("cortex-m4", Work(("no_such_kernel",), (1, 1, 1, 1))) is None
    assert predict("no-such-core", Work(("dsp_lookup",), (1, 1, 1, 1))) is None


def test_cost_grows_with_the_layer() -> None:
    module = quantized("mobilenet_v1", I8, alpha=0.25, resolution=64, classes=10)
    larger = quantized("mobilenet_v1", I8, alpha=0.5, resolution=128, classes=10)
    for core in known_cores():
        costs = []
        for graph in (module.graph, larger.graph):
            op = next(op for op in graph.operations if op.name == "body.3.pointwise.conv")
            name = "helium_pointwise_4_4_relu" if core == "cortex-m55" else "pointwise_i8_i8"
            costs.append(predict(core, work(op, [name])))
        if None not in costs:
            assert 0 < costs[0] < costs[1]
