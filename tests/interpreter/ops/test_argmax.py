from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.ir.core import ShapeError
from tests.interpreter.evaluation import evaluate, floats


@pytest.mark.parametrize("shape", [(1, 10), (3, 1), (2, 3, 4, 21)])
def test_every_row_gives_the_place_of_its_largest_number(shape: tuple[int, ...]) -> None:
    x = floats(*shape)
    result = evaluate("argmax", {"input": x})
    assert (result.dtype.name, result.shape) == ("int32", shape[:-1])
    np.testing.assert_array_equal(np.take_along_axis(x, result[..., None], -1)[..., 0], x.max(-1))


def test_the_first_of_equal_numbers_counts() -> None:
    x = np.array([[1.0, 7.0, 7.0], [2.0, 2.0, 2.0]], np.float32)
    np.testing.assert_array_equal(evaluate("argmax", {"input": x}), [1, 0])


def test_stored_integers_are_compared_with_their_sign() -> None:
    x = np.array([[-128, 127, 0]], np.int8)
    np.testing.assert_array_equal(evaluate("argmax", {"input": x}), [1])
    np.testing.assert_array_equal(evaluate("argmax", {"input": x.view(np.uint8)}), [0])


def test_the_batch_is_not_searched() -> None:
    with pytest.raises(ShapeError, match="axis beside the batch"):
        evaluate("argmax", {"input": floats(4)})
