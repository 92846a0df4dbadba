"""depthwise_conv2d as C: swept both ways, and in place through a ring of lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.ops import RULES
from mnetdsl.backends.c.ops.depthwise_conv2d import fits_in_place
from mnetdsl.backends.c.ops.window import Window
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.plan.tasks import apart
from tests.backends.c.harness import Cases, check_cases, modes_used, only_mode, overlaps

WINDOWS = (
    ((3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    ((3, 3), (2, 2), (1, 1), (0, 1, 0, 1)),
    ((3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    ((5, 5), (1, 1), (1, 1), (2, 2, 2, 2)),
    ((5, 5), (2, 2), (1, 1), (2, 2, 2, 2)),
    ((3, 3), (1, 1), (2, 2), (2, 2, 2, 2)),
    ((3, 3), (1, 1), (1, 1), (0, 0, 0, 0)),
    ((1, 3), (1, 1), (1, 1), (0, 0, 1, 1)),
    ((3, 1), (1, 1), (1, 1), (1, 1, 0, 0)),
    ((3, 3), (1, 2), (1, 1), (1, 1, 1, 0)),
    ((2, 2), (3, 3), (1, 1), (0, 0, 0, 0)),
)


def depthwise(cases: Cases, x: Value, window: tuple[Any, ...], multiplier: int = 1, **attributes: object) -> Value:
    kernel, strides, dilations, padding = window
    channels = x.type.shape[3]
    operands = {
        "input": x,
        "filter": cases.weight(*kernel, channels, multiplier),
        "bias": cases.weight(channels * multiplier) if channels != 5 else None,
    }
    return cases.op("depthwise_conv2d", operands, strides=strides, dilations=dilations, padding=padding, **attributes)


def all_cases() -> Cases:
    cases = Cases()
    for window in WINDOWS:
        for channels in (1, 5, 16, 35):
            cases.finish(depthwise(cases, cases.value(8, 7, channels), window, activation="relu6"))
        cases.finish(depthwise(cases, cases.value(8, 7, 3), window, multiplier=2))
    cases.finish(depthwise(cases, cases.value(1, 1, 20), WINDOWS[0], activation="hard_swish"))
    return cases


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_every_shape_agrees_with_the_interpreter_while_input_and_output_overlap(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    only_mode(monkeypatch, "depthwise_conv2d", mode)
    runner = check_cases(all_cases().module)
    assert modes_used(runner, "depthwise_conv2d") == {mode}
    assert overlaps(runner, "depthwise_conv2d") > 20


def test_in_place_through_lines_agrees_with_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Swept, the layers are kept apart from their inputs here, so that in place is what makes the arena small."""
    rule = RULES["depthwise_conv2d"]

    def choose(op: DepthwiseConv2d) -> Choice:
        choice = rule.choose(op)
        lines = [mode for mode in choice.modes if mode.name == "lines"]
        return replace(choice, modes=(apart(1), *lines))

    monkeypatch.setitem(RULES, "depthwise_conv2d", Rule(choose, rule.emit))
    runner = check_cases(all_cases().module)
    modes = [step.mode.name for step in runner.package.plan.steps]
    assert modes.count("lines") > 15


@pytest.mark.parametrize("channels", [1, 2, 4, 32])
def test_lines_hold_as_many_channels_as_fit_without_a_larger_arena(channels: int) -> None:
    """The fullest layer is another one, which leaves room for that many channels and no more."""
    cases = Cases()
    x = cases.value(16, 16, 32)
    operands = {"input": x, "filter": cases.weight(3, 3, 32, 1)}
    y = cases.op("depthwise_conv2d", operands, padding=(1, 1, 1, 1))
    cases.finish(y)
    spare = 16 * 3 * channels
    big = cases.value(16 * 16 * 32 + spare)
    cases.finish(big)
    runner = check_cases(cases.module)
    plan = runner.package.plan
    steps = [step for step in plan.steps if step.scratch is not None]
    direct = 16 * 32 + 16 * 32
    if spare < direct // 2:
        assert [step.scratch.units for step in steps if step.scratch] == [channels]
    assert plan.arena_bytes == (16 * 16 * 32 + spare) * 4 == plan.lower_bound


def test_in_place_is_refused_where_the_output_would_pass_rows_not_taken_in_yet() -> None:
    grows = Window((1, 8, 8, 4), (1, 12, 8, 4), (3, 3), padding=(3, 3, 1, 1))
    keeps = Window((1, 8, 8, 4), (1, 8, 8, 4), (3, 3), padding=(1, 1, 1, 1))
    wider = Window((1, 8, 8, 4), (1, 8, 20, 4), (3, 3), padding=(1, 1, 7, 7))
    assert [fits_in_place(window) for window in (grows, keeps, wider)] == [False, True, False]
