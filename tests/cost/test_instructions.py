"""Predicted instructions: the fit that is checked in, and what it does with kernels that it does not know."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.cost.instructions import Cost, Work, expected, known_cores, predict
from mnetdsl.targets import CORES
from mnetdsl.weights.random import random_weights
from tests.backends.c.quantized.test_networks import I8, quantized

HELD = json.loads((files("mnetdsl.cost") / "instructions.json").read_text(encoding="utf-8"))["held"]
WITHIN = 0.05


@pytest.mark.parametrize(("core", "network"), [(core, name) for core in sorted(HELD) for name in sorted(HELD[core])])
def test_networks_that_were_not_used_for_the_fit_are_predicted(core: str, network: str) -> None:
    found = HELD[core][network]
    assert found["unknown"] == 0
    assert found["predicted"] == pytest.approx(found["counted"], rel=WITHIN)


def test_a_kernel_that_was_not_measured_has_no_figure() -> None:
    assert predict("cortex-m4", Work(("no_such_kernel",), (1, 1, 1, 1))) is None
    assert predict("no-such-core", Work(("dsp_lookup",), (1, 1, 1))) is None


def test_a_kernel_with_other_loops_than_those_measured_has_no_figure() -> None:
    assert predict("cortex-m4", Work(("dsp_lookup",), (1, 1, 1))) is not None
    assert predict("cortex-m4", Work(("dsp_lookup",), (1, 1, 1, 1))) is None


def test_one_unknown_call_makes_the_layer_unknown() -> None:
    known, unknown = Cost(Work(("dsp_lookup",), (1, 1, 1))), Cost(Work(("no_such_kernel",), (1,)))
    assert expected("cortex-m4", [known, unknown]) is None


def test_work_that_is_done_again_costs_again() -> None:
    once, thrice = (expected("cortex-m4", [Cost(Work(("dsp_lookup",), (1000, 0, 0)), times)]) for times in (1, 3))
    assert once is not None
    assert thrice == pytest.approx(3 * once, abs=2)


@pytest.mark.parametrize("core", sorted(known_cores()))
def test_cost_grows_with_the_layer(core: str) -> None:
    costs = []
    for sizes in ({"alpha": 0.25, "resolution": 64}, {"alpha": 0.5, "resolution": 128}):
        module = quantized("mobilenet_v1", I8, **sizes, classes=10)
        module.resources.update(random_weights(module, 1))
        package = generate(module, options=Options(core=CORES[core]))
        names = [layer.name for layer in package.program.layers]
        costs.append(expected(core, package.costs[names.index("body.3.pointwise.conv")]))
    small, large = costs
    assert small is not None
    assert large is not None
    assert 0 < small < large
