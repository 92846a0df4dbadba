"""Unary functions and clamp as C, in place in both directions, special values included."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends.c.host import HostRunner
from mnetdsl.interpreter import run
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from tests.backends.c.harness import Cases, check_cases, modes_used, only_mode
from tests.toolchain import require


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_every_function_agrees_with_the_interpreter(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    cases = Cases()
    for opcode in UNARY_FUNCTIONS:
        only_mode(monkeypatch, opcode, mode)
        for sizes in ((1,), (16,), (37,), (3, 4, 5)):
            cases.finish(cases.op(opcode, {"input": cases.value(*sizes)}))
    only_mode(monkeypatch, "clamp", mode)
    for low, high in ((-1.0, 1.0), (0.0, float("inf")), (float("-inf"), 2.5), (0.1, 0.1)):
        cases.finish(cases.op("clamp", {"input": cases.value(19)}, low=low, high=high))
    runner = check_cases(cases.module)
    assert modes_used(runner, "gelu") == {mode}


def test_nan_infinity_and_large_values_come_out_as_on_the_interpreter() -> None:
    require("gcc")
    cases = Cases()
    for opcode in UNARY_FUNCTIONS:
        value = cases.op(opcode, {"input": cases.input(8)})
        cases.maker.builder.output(opcode, value)
    special = np.array([[np.nan, np.inf, -np.inf, 1e30, -1e30, 100.0, -100.0, -0.0]], np.float32)
    inputs = {port.name: special for port in cases.module.graph.inputs}
    found, wanted = HostRunner(cases.module).run(inputs), run(cases.module, inputs)
    for opcode in UNARY_FUNCTIONS:
        np.testing.assert_allclose(
            found[opcode].astype(np.float32), wanted[opcode].astype(np.float32), rtol=1e-6, err_msg=opcode
        )
