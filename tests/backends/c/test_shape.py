"""pad, concat, reshape, transpose and slice as C."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from mnetdsl.backends.c.ops.shape import walk_table
from mnetdsl.plan import Space
from tests.backends.c.harness import Cases, check_cases, modes_used, only_mode, overlaps


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_pad_agrees_with_the_interpreter(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    only_mode(monkeypatch, "pad", mode)
    cases = Cases()
    for padding in ((1, 1, 1, 1), (0, 1, 0, 1), (2, 0, 3, 0), (0, 0, 0, 0), (0, 0, 0, 5)):
        for channels in (1, 6):
            cases.finish(cases.op("pad", {"input": cases.value(4, 5, channels)}, padding=padding, value=-1.5))
    cases.finish(cases.op("pad", {"input": cases.value(2, 2, 1)}, padding=(1, 1, 1, 1), value=float("-inf")))
    runner = check_cases(cases.module)
    assert modes_used(runner, "pad") == {mode}
    if mode == "forward":
        assert overlaps(runner, "pad") > 4


def test_concat_agrees_with_the_interpreter_on_every_axis() -> None:
    cases = Cases()
    for axis in (1, 2, 3):
        sizes = [[3, 4, 5], [3, 4, 5], [3, 4, 5]]
        sizes[1][axis - 1] = 1
        sizes[2][axis - 1] = 7
        cases.finish(cases.op("concat", {"inputs": [cases.value(*size) for size in sizes]}, axis=axis))
    x = cases.value(4)
    cases.finish(cases.op("concat", {"inputs": [x, x, cases.weight(1, 2)]}, axis=1))
    cases.finish(cases.op("concat", {"inputs": [cases.value(2, 2)]}, axis=2))
    check_cases(cases.module)


def test_transpose_agrees_with_the_interpreter_in_every_order() -> None:
    cases = Cases()
    for order in permutations(range(3)):
        cases.finish(cases.op("transpose", {"input": cases.value(3, 4, 5)}, order=order))
    cases.finish(cases.op("transpose", {"input": cases.value(4, 7)}, order=(1, 0)))
    cases.finish(cases.op("transpose", {"input": cases.value(6)}, order=(0,)))
    cases.finish(cases.op("transpose", {"input": cases.value(2, 1, 3, 2, 1, 2, 2)}, order=(6, 4, 2, 0, 1, 3, 5)))
    check_cases(cases.module)


def test_slice_agrees_with_the_interpreter_and_lies_on_what_it_reads() -> None:
    cases = Cases()
    for begin, size in (((0, 0, 0), (3, 4, 5)), ((1, 0, 0), (2, 4, 5)), ((0, 1, 0), (3, 2, 5)), ((2, 3, 1), (1, 1, 3))):
        cases.finish(cases.op("slice", {"input": cases.value(3, 4, 5)}, begin=begin, size=size))
    cases.finish(cases.op("slice", {"input": cases.value(9)}, begin=(4,), size=(5,)))
    cases.finish(
        cases.op(
            "slice",
            {"input": cases.value(2, 3, 2, 2, 2, 3, 2)},
            begin=(1, 0, 1, 0, 1, 1, 0),
            size=(1, 2, 1, 2, 1, 2, 1),
        )
    )
    runner = check_cases(cases.module)
    assert overlaps(runner, "slice") == 6


def test_neighbouring_loops_that_visit_elements_in_order_are_one() -> None:
    assert walk_table([(3, 20), (4, 5), (5, 1)]) == ("{1, 1, 1, 1, 1, 1, 60}", "{0, 0, 0, 0, 0, 0, 1}")
    assert walk_table([(5, 1), (3, 20), (4, 5)]) == ("{1, 1, 1, 1, 1, 5, 12}", "{0, 0, 0, 0, 0, 1, 5}")
    assert walk_table([(1, 7)]) == ("{1, 1, 1, 1, 1, 1, 1}", "{0, 0, 0, 0, 0, 0, 0}")


def test_reshape_shares_the_memory_of_what_it_reads() -> None:
    cases = Cases()
    x = cases.value(3, 4, 5)
    y = cases.op("reshape", {"input": x}, shape=(60,))
    cases.finish(cases.op("relu", {"input": y}))
    runner = check_cases(cases.module)
    plan = runner.package.plan
    assert plan.place(y) == plan.place(x)
    assert plan.place(x).space is Space.ARENA


def test_outputs_that_are_inputs_constants_reshapes_or_each_other_are_copied() -> None:
    cases = Cases()
    builder = cases.maker.builder
    x = cases.input(2, 3)
    y = cases.op("relu", {"input": x})
    builder.output("itself", x)
    builder.output("first", y)
    builder.output("second", y)
    builder.output("flat", cases.op("reshape", {"input": y}, shape=(6,)))
    builder.output("fixed", cases.maker.constant("fixed", np.arange(4, dtype=np.float32).reshape(1, 4)))
    builder.output("after", cases.op("relu6", {"input": y}))
    runner = check_cases(cases.module)
    assert runner.package.plan.arena_bytes == 0
