"""layer_norm as C."""

from __future__ import annotations

import numpy as np

from tests.backends.c.harness import Cases, check_cases


def test_layer_norm_agrees_with_the_interpreter_for_maps_and_rows_far_from_zero() -> None:
    cases = Cases()
    for sizes in ((1,), (10,), (3, 4, 5), (6, 1000)):
        parameters = {"scale": cases.weight(sizes[-1]), "offset": cases.weight(sizes[-1])}
        cases.finish(cases.op("layer_norm", {"input": cases.value(*sizes), **parameters}, epsilon=1e-3))
    away = cases.maker.constant("away", np.full((1, 1), 400, np.float32))
    x = cases.op("add", {"left": cases.value(64), "right": away})
    cases.finish(cases.op("layer_norm", {"input": x, "scale": cases.weight(64), "offset": cases.weight(64)}))
    check_cases(cases.module)
