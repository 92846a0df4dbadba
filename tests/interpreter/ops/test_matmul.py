from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.ir.core import ShapeError
from tests.interpreter.evaluation import EPSILON, evaluate, floats


@pytest.mark.parametrize(("rows", "depth", "columns"), [(5, 3, 4), (1, 1, 1), (7, 64, 9)])
@pytest.mark.parametrize("transpose", ["none", "right"])
def test_each_element_is_the_scaled_sum_of_products(rows: int, depth: int, columns: int, transpose: str) -> None:
    left = floats(2, rows, depth)
    right = floats(2, columns, depth) if transpose == "right" else floats(2, depth, columns)
    result = evaluate("matmul", {"left": left, "right": right}, transpose=transpose, scale=0.25)
    factor = right.swapaxes(1, 2) if transpose == "right" else right
    for image in range(2):
        for row in range(rows):
            for column in range(columns):
                terms = left[image, row].astype(np.float64) * factor[image, :, column]
                bound = (depth + 2) * EPSILON * np.abs(terms).sum()
                assert abs(result[image, row, column] - 0.25 * terms.sum()) <= bound


def test_inner_sizes_must_be_equal() -> None:
    with pytest.raises(ShapeError, match="equal inner sizes, got 3 and 4"):
        evaluate("matmul", {"left": floats(1, 5, 3), "right": floats(1, 4, 3)})
