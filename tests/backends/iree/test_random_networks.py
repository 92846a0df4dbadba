"""Random networks compile and compute what the interpreter computes, however IREE fuses their layers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from mnetdsl.backends.iree.runner import IreeRunner
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from mnetdsl.passes.pipelines import optimize
from tests.backends.iree.harness import TARGETS, inputs_of, require_target
from tests.passes.random_networks import networks

TOLERANCE = 1e-4
"""Of an output's largest magnitude: up to fourteen layers and their norms."""


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_random_networks_agree_with_the_interpreter(target: str) -> None:
    require_target(target)

    @settings(
        max_examples=40,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(networks())
    def check(module: Module) -> None:
        inputs = inputs_of(module, batch=2)
        results = IreeRunner(optimize(module), target).run(inputs)
        for name, reference in run(module, inputs).items():
            error = float(np.abs(results[name] - reference).max() / max(float(np.abs(reference).max()), 1e-30))
            assert error <= TOLERANCE, name

    check()
