"""Pools as C, in both directions, windows in the padding included."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends.c.host import HostRunner
from mnetdsl.interpreter import run
from tests.backends.c.harness import Cases, check_cases, modes_used, only_mode, overlaps
from tests.toolchain import require


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_every_window_agrees_with_the_interpreter(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    cases = Cases()
    for opcode in ("avg_pool", "max_pool"):
        only_mode(monkeypatch, opcode, mode)
        for kernel, strides, padding in (
            ((2, 2), (2, 2), (0, 0, 0, 0)),
            ((3, 3), (1, 1), (1, 1, 1, 1)),
            ((3, 3), (2, 2), (0, 1, 0, 1)),
            ((7, 9), (1, 1), (0, 0, 0, 0)),
            ((3, 2), (2, 1), (2, 2, 1, 0)),
            ((1, 1), (1, 1), (0, 0, 0, 0)),
        ):
            for channels in (1, 16, 21):
                x = cases.value(7, 9, channels)
                cases.finish(cases.op(opcode, {"input": x}, kernel=kernel, strides=strides, padding=padding))
    runner = check_cases(cases.module)
    assert modes_used(runner, "avg_pool") == modes_used(runner, "max_pool") == {mode}
    assert overlaps(runner, "max_pool") > 6


def test_the_mean_over_a_map_agrees_with_the_interpreter_in_place() -> None:
    cases = Cases()
    for sizes in ((1, 1, 5), (7, 7, 16), (3, 50, 33), (64, 64, 2)):
        cases.finish(cases.op("global_avg_pool", {"input": cases.value(*sizes)}))
    runner = check_cases(cases.module)
    assert overlaps(runner, "global_avg_pool") == 4


def test_nan_in_a_window_answers_as_on_the_interpreter() -> None:
    require("gcc")
    cases = Cases()
    for opcode in ("avg_pool", "max_pool"):
        value = cases.op(opcode, {"input": cases.input(3, 3, 2)}, kernel=(2, 2), padding=(1, 1, 1, 1))
        cases.maker.builder.output(opcode, value)
    image = np.arange(18, dtype=np.float32).reshape(1, 3, 3, 2) - 9
    image[0, 1, 1, 0] = np.nan
    image[0, 0, 0, 1] = -np.inf
    inputs = {port.name: image for port in cases.module.graph.inputs}
    found, wanted = HostRunner(cases.module).run(inputs), run(cases.module, inputs)
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])
