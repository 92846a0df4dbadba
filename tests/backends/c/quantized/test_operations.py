"""Every operation on stored integers has the interpreter's bits in C."""

from __future__ import annotations

import numpy as np

from mnetdsl.backends.c.host import HostRunner
from mnetdsl.interpreter import run
from mnetdsl.passes.pipelines import optimize
from tests.backends.iree.harness import inputs_of
from tests.backends.iree.quantized.cases import CASES, QuantizedMaker
from tests.toolchain import require

STRICT = ("-std=c99", "-O1", "-fPIC", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-pedantic")


def test_results_are_the_interpreters_bit_for_bit() -> None:
    require("gcc")
    maker = QuantizedMaker("quantized_operations")
    for name, case in CASES.items():
        maker.output(case(maker), name)
    module = optimize(maker.module)
    inputs = inputs_of(module, batch=3)
    expected = run(module, inputs)
    results = HostRunner(module, flags=STRICT).run(inputs)
    different = {name: int((results[name] != array).sum()) for name, array in expected.items()}
    assert {name: count for name, count in different.items() if count} == {}
    assert all(np.unique(array).size > 1 for array in expected.values())
