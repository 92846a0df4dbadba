"""add, sub and mul as C: every broadcast, in place, with an epilogue."""

from __future__ import annotations

from mnetdsl.backends.c.ops.elementwise import broadcast_groups
from tests.backends.c.harness import Cases, check_cases, overlaps

PAIRS = (
    ((4, 5, 6), (4, 5, 6)),
    ((4, 5, 6), (1, 1, 6)),
    ((1, 1, 6), (4, 5, 6)),
    ((4, 5, 6), (4, 5, 1)),
    ((4, 5, 6), (1, 5, 1)),
    ((4, 1, 6), (1, 5, 6)),
    ((1, 1, 1), (4, 5, 6)),
    ((1,), (1,)),
    ((37,), (37,)),
    ((2, 1, 3, 1), (1, 4, 1, 5)),
    ((2, 1, 3, 1, 2, 1, 2), (1, 2, 1, 2, 1, 2, 1)),
)


def test_every_broadcast_agrees_with_the_interpreter() -> None:
    cases = Cases()
    for opcode in ("add", "sub", "mul"):
        for left, right in PAIRS:
            operands = {"left": cases.value(*left), "right": cases.value(*right)}
            cases.finish(cases.op(opcode, operands, activation="relu6" if len(left) == 1 else "none"))
    x = cases.value(5, 7)
    cases.finish(cases.op("add", {"left": x, "right": x}))
    cases.finish(cases.op("mul", {"left": cases.value(3, 4), "right": cases.weight(1, 3, 4)}, activation="hard_swish"))
    runner = check_cases(cases.module)
    assert overlaps(runner, "add") > 4


def test_neighbouring_dimensions_that_behave_alike_share_a_loop() -> None:
    assert broadcast_groups((1, 4, 5, 6), (1, 4, 5, 6)) == [(120, True, True)]
    assert broadcast_groups((1, 4, 5, 6), (1, 1, 1, 6)) == [(20, True, False), (6, True, True)]
