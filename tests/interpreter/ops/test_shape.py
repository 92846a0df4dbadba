from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnetdsl.ir.core import ShapeError
from tests.interpreter.evaluation import evaluate, floats


@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 0, 1)])
@pytest.mark.parametrize("value", [0.0, -1.5])
def test_pad_puts_the_map_inside_a_border(padding: Any, value: float) -> None:
    x = floats(2, 3, 4, 5)
    top, bottom, left, right = padding
    expected = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)
    np.testing.assert_array_equal(evaluate("pad", {"input": x}, padding=padding, value=value), expected)


def test_pad_keeps_integers() -> None:
    result = evaluate("pad", {"input": np.ones((1, 1, 1, 1), np.int8)}, padding=(1, 0, 0, 0), value=-128.0)
    assert result.dtype == np.int8
    np.testing.assert_array_equal(result.ravel(), [-128, 1])


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_concat_keeps_the_order(axis: int) -> None:
    shapes = [[2, 3, 4, 5] for _ in range(3)]
    for index, shape in enumerate(shapes):
        shape[axis] = index + 1
    arrays = [floats(*shape, seed=index) for index, shape in enumerate(shapes)]
    result = evaluate("concat", {"inputs": arrays}, axis=axis)
    start = 0
    for array in arrays:
        part = np.take(result, range(start, start + array.shape[axis]), axis=axis)
        np.testing.assert_array_equal(part, array)
        start += array.shape[axis]
    assert result.shape[axis] == start


def test_concat_of_one() -> None:
    x = floats(1, 3)
    np.testing.assert_array_equal(evaluate("concat", {"inputs": [x]}, axis=1), x)


def test_concat_repeats_what_depends_on_no_input() -> None:
    x, fixed = floats(3, 2, 2, 1), floats(1, 2, 2, 4, seed=1)
    result = evaluate("concat", {"inputs": [x, fixed]}, axis=3)
    np.testing.assert_array_equal(result[..., :1], x)
    np.testing.assert_array_equal(result[..., 1:], np.repeat(fixed, 3, axis=0))


@pytest.mark.parametrize("shape", [(24,), (4, 6), (2, 3, 4), (1, 1, 24)])
def test_reshape_keeps_the_order_and_the_batch(shape: Any) -> None:
    x = np.arange(72, dtype=np.float32).reshape(3, 2, 3, 4)
    result = evaluate("reshape", {"input": x}, shape=shape)
    assert result.shape == (3, *shape)
    np.testing.assert_array_equal(result.ravel(), np.arange(72))


def test_transpose_moves_every_element_to_its_place() -> None:
    x = floats(2, 3, 4, 5)
    result = evaluate("transpose", {"input": x}, order=(2, 0, 1))
    assert result.shape == (2, 5, 3, 4)
    for n, h, w, c in np.ndindex(x.shape):
        assert result[n, c, h, w] == x[n, h, w, c]


def test_transposing_back_gives_the_tensor() -> None:
    x = floats(2, 3, 4, 5)
    there = evaluate("transpose", {"input": x}, order=(1, 2, 0))
    np.testing.assert_array_equal(evaluate("transpose", {"input": there}, order=(2, 0, 1)), x)


@pytest.mark.parametrize("order", [(0, 1), (0, 1, 1), (1, 2, 3), (0, 1, 2, 3)])
def test_transpose_needs_each_axis_once(order: Any) -> None:
    with pytest.raises(ShapeError, match="each axis from 0 to 2 once"):
        evaluate("transpose", {"input": floats(1, 2, 3, 4)}, order=order)


def test_slice_takes_a_box() -> None:
    x = np.arange(2 * 24, dtype=np.int8).reshape(2, 2, 3, 4)
    result = evaluate("slice", {"input": x}, begin=(1, 0, 2), size=(1, 2, 2))
    np.testing.assert_array_equal(result, [[[[14, 15], [18, 19]]], [[[38, 39], [42, 43]]]])
    assert result.dtype == np.int8


@pytest.mark.parametrize(
    ("begin", "size", "message"),
    [
        ((0, 0), (1, 1, 1), "`begin` of `slice` needs one number for each of the 3 axes"),
        ((0, 0, 0), (1,), "`size` of `slice` needs one number for each of the 3 axes"),
        ((0, 1, 0), (1, 3, 1), "`slice` of 3 from 1 on ends behind the 3 elements of axis 1"),
    ],
)
def test_slice_stays_inside_the_tensor(begin: Any, size: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        evaluate("slice", {"input": floats(1, 2, 3, 4)}, begin=begin, size=size)
