"""softmax as C."""

from __future__ import annotations

import numpy as np

from tests.backends.c.harness import Cases, check_cases


def test_softmax_agrees_with_the_interpreter_for_large_values_and_many_rows() -> None:
    cases = Cases()
    for sizes in ((1,), (10,), (3, 4, 5), (1000,)):
        cases.finish(cases.op("softmax", {"input": cases.value(*sizes)}))
    x = cases.op("mul", {"left": cases.value(6), "right": cases.maker.constant("k", np.full((1, 1), 1e4, np.float32))})
    cases.finish(cases.op("softmax", {"input": x}))
    check_cases(cases.module)
