"""matmul as C."""

from __future__ import annotations

from tests.backends.c.harness import Cases, check_cases


def test_matmul_agrees_with_the_interpreter_in_both_orders_and_at_every_size() -> None:
    cases = Cases()
    for rows, depth, columns in ((5, 3, 4), (1, 7, 1), (12, 8, 6)):
        left = cases.value(rows, depth)
        cases.finish(cases.op("matmul", {"left": left, "right": cases.value(depth, columns)}))
        right = cases.value(columns, depth)
        cases.finish(cases.op("matmul", {"left": left, "right": right}, transpose="right", scale=0.125))
    check_cases(cases.module)
