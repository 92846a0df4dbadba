"""dense as C, swept both ways."""

from __future__ import annotations

import pytest

from tests.backends.c.harness import Cases, check_cases, modes_used, only_mode


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_dense_agrees_with_the_interpreter(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    only_mode(monkeypatch, "dense", mode)
    cases = Cases()
    for inputs, outputs in ((1, 1), (7, 10), (64, 33), (10, 128)):
        operands = {"input": cases.value(inputs), "filter": cases.weight(inputs, outputs)}
        cases.finish(cases.op("dense", operands))
        bias = {"input": cases.value(inputs), "filter": cases.weight(inputs, outputs), "bias": cases.weight(outputs)}
        cases.finish(cases.op("dense", bias, activation="relu"))
    assert modes_used(check_cases(cases.module), "dense") == {mode}
