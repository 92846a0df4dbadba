"""normalize, dense, batch_norm, softmax and constants as C."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends.c.host import HostRunner
from mnetdsl.interpreter import run
from mnetdsl.ir.types import ElementType
from tests.backends.c.harness import Cases, check_cases, modes_used, only_mode, random_inputs
from tests.toolchain import require


def test_normalize_gives_the_interpreters_bits_for_every_element_type() -> None:
    require("gcc")
    cases = Cases()
    for element in (ElementType.U8, ElementType.I8, ElementType.F32):
        for mean, std in (((127.5,), (127.5,)), ((123.0, 116.0, 103.0), (58.0, 57.0, 57.5)), ((0.5,), (1.0, 2.0, 3.0))):
            x = cases.input(4, 5, 3, element=element)
            cases.maker.builder.output(f"o{cases.count}", cases.op("normalize", {"input": x}, mean=mean, std=std))
    inputs = random_inputs(cases.module)
    found, wanted = HostRunner(cases.module).run(inputs), run(cases.module, inputs)
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


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


def test_batch_norm_without_a_convolution_agrees_with_the_interpreter() -> None:
    cases = Cases()
    for sizes in ((4, 5, 6), (7,)):
        channels = sizes[-1]
        variance = cases.maker.constant(f"v{channels}", np.linspace(0.1, 3.0, channels, dtype=np.float32))
        operands = {"input": cases.value(*sizes), "variance": variance}
        operands |= {name: cases.weight(channels) for name in ("scale", "offset", "mean")}
        cases.finish(cases.op("batch_norm", operands, epsilon=1e-3))
    check_cases(cases.module)


def test_softmax_agrees_with_the_interpreter_for_large_values_and_many_rows() -> None:
    cases = Cases()
    for sizes in ((1,), (10,), (3, 4, 5), (1000,)):
        cases.finish(cases.op("softmax", {"input": cases.value(*sizes)}))
    x = cases.op("mul", {"left": cases.value(6), "right": cases.maker.constant("k", np.full((1, 1), 1e4, np.float32))})
    cases.finish(cases.op("softmax", {"input": x}))
    check_cases(cases.module)
