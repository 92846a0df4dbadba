from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnetdsl.ir.core import ShapeError
from tests.interpreter.evaluation import evaluate, floats
from tests.tflite_models import Tensor, run_single

GRIDS: tuple[dict[str, bool], ...] = ({}, {"align_corners": True}, {"half_pixel_centers": True})


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (9, 20), (10, 14)])
@pytest.mark.parametrize("grid", GRIDS, ids=["plain", "corners", "centers"])
@pytest.mark.parametrize(
    ("method", "code", "kind"),
    [
        ("bilinear", "RESIZE_BILINEAR", "ResizeBilinearOptions"),
        ("nearest", "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
    ],
)
def test_maps_are_those_of_the_reference(
    method: str, code: str, kind: str, grid: dict[str, bool], size: tuple[int, int]
) -> None:
    x = floats(2, 5, 7, 3)
    options = {"alignCorners": "align_corners" in grid, "halfPixelCenters": "half_pixel_centers" in grid}
    tensors = [Tensor(x.shape, "float32"), Tensor.constant(np.array(size, np.int32))]
    result = evaluate("resize", {"input": x}, size=size, method=method, **grid)
    expected = run_single(code, tensors, [x], Tensor(result.shape, "float32"), kind, options)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)


def test_the_corners_of_both_maps_are_the_same_pixels() -> None:
    x = floats(1, 4, 6, 2)
    result = evaluate("resize", {"input": x}, size=(11, 9), align_corners=True)
    np.testing.assert_allclose(result[:, ::10, ::8], x[:, ::3, ::5], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("attributes", GRIDS)
def test_the_same_size_gives_the_same_map(attributes: Any) -> None:
    x = floats(2, 5, 7, 3)
    np.testing.assert_array_equal(evaluate("resize", {"input": x}, size=(5, 7), **attributes), x)


def test_corners_and_centers_cannot_both_hold() -> None:
    with pytest.raises(ShapeError, match="not both"):
        evaluate("resize", {"input": floats(1, 2, 2, 1)}, size=(4, 4), align_corners=True, half_pixel_centers=True)
