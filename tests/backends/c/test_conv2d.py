"""conv2d as C: pointwise and general kernel, in every mode, with and without what is optional."""

from __future__ import annotations

import itertools

import pytest

from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Value
from tests.backends.c.harness import Cases, check_cases, modes_used, only_mode, overlaps


def conv(
    cases: Cases,
    x: Value,
    outputs: int,
    kernel: tuple[int, int] = (1, 1),
    bias: bool = True,
    residual: Value | None = None,
    **attributes: object,
) -> Value:
    weights = cases.weight(*kernel, x.type.shape[3], outputs)
    operands = {"input": x, "filter": weights, "bias": cases.weight(outputs) if bias else None, "residual": residual}
    return cases.op("conv2d", operands, **attributes)


def all_cases() -> Cases:
    cases = Cases()
    for inputs, outputs in itertools.product((1, 5, 16, 24), (1, 7, 16, 33)):
        cases.finish(conv(cases, cases.value(5, 4, inputs), outputs, bias=inputs != 5))
    for activation in ("relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "silu", "gelu", "tanh"):
        cases.finish(conv(cases, cases.value(3, 3, 6), 9, activation=activation))
    for inputs, outputs in ((6, 24), (24, 6), (16, 16)):
        residual = cases.value(4, 5, outputs)
        cases.finish(conv(cases, cases.value(4, 5, inputs), outputs, residual=residual, activation="relu6"))
    for kernel, strides, dilations, padding in (
        ((3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
        ((3, 3), (2, 2), (1, 1), (0, 1, 0, 1)),
        ((3, 3), (2, 1), (1, 1), (1, 0, 0, 2)),
        ((5, 3), (1, 2), (1, 1), (2, 2, 1, 1)),
        ((3, 3), (1, 1), (2, 3), (2, 2, 3, 3)),
        ((2, 2), (1, 1), (1, 1), (0, 0, 0, 0)),
        ((1, 1), (2, 2), (1, 1), (0, 0, 0, 0)),
        ((1, 1), (1, 1), (1, 1), (1, 0, 2, 1)),
        ((7, 9), (1, 1), (1, 1), (0, 0, 0, 0)),
        ((3, 3), (3, 3), (1, 1), (3, 3, 3, 3)),
    ):
        for inputs, outputs in ((3, 20), (20, 3)):
            x = cases.value(7, 9, inputs)
            cases.finish(
                conv(cases, x, outputs, kernel, strides=strides, dilations=dilations, padding=padding, bias=outputs > 3)
            )
    x = cases.value(6, 6, 8)
    cases.finish(conv(cases, x, 8, (3, 3), residual=cases.value(6, 6, 8), padding=(1, 1, 1, 1)))
    cases.finish(conv(cases, cases.value(1, 1, 40), 3))
    x = cases.value(4, 4, 8)
    cases.finish(conv(cases, x, 8, residual=x))
    return cases


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_every_shape_agrees_with_the_interpreter_while_input_and_output_overlap(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    only_mode(monkeypatch, "conv2d", mode)
    runner = check_cases(all_cases().module)
    assert modes_used(runner, "conv2d") == {mode}
    assert overlaps(runner, "conv2d") > 20


def test_a_computed_filter_is_refused_by_name() -> None:
    cases = Cases()
    x = cases.value(4, 4, 2)
    filter = cases.op("reshape", {"input": cases.value(1, 2, 3)}, shape=(1, 2, 3))
    cases.finish(cases.op("conv2d", {"input": x, "filter": filter}))
    with pytest.raises(MnetError, match=r"MN1110.*constant filter"):
        check_cases(cases.module)
