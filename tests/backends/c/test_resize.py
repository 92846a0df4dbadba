"""resize as C."""

from __future__ import annotations

import pytest

from tests.backends.c.harness import Cases, check_cases


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_every_grid_agrees_with_the_interpreter(method: str) -> None:
    cases = Cases()
    for corners, centers in ((False, False), (True, False), (False, True)):
        for size in ((1, 1), (3, 2), (9, 20), (10, 14)):
            resized = cases.op(
                "resize",
                {"input": cases.value(5, 7, 3)},
                size=size,
                method=method,
                align_corners=corners,
                half_pixel_centers=centers,
            )
            cases.finish(resized)
    cases.finish(cases.op("resize", {"input": cases.value(1, 1, 4)}, size=(3, 5), method=method))
    check_cases(cases.module)
