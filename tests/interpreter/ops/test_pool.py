from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mnetdsl.ir.core import ShapeError
from mnetdsl.ir.ops.window import same_padding, window_output
from tests.interpreter.evaluation import evaluate, floats


def pooled(opcode: str, x: Any, kernel: Any, strides: Any = (1, 1), padding: Any = (0, 0, 0, 0)) -> np.ndarray:
    """Window by window in float64, over the pixels inside the map."""
    top, bottom, left, right = padding
    batch, height, width, channels = x.shape
    rows = window_output(height, kernel[0], strides[0], 1, top, bottom)
    columns = window_output(width, kernel[1], strides[1], 1, left, right)
    result = np.empty((batch, rows, columns, channels))
    for row, column in np.ndindex(rows, columns):
        y, z = row * strides[0] - top, column * strides[1] - left
        window = x[:, max(y, 0) : max(y + kernel[0], 0), max(z, 0) : max(z + kernel[1], 0)].astype(np.float64)
        result[:, row, column] = window.mean(axis=(1, 2)) if opcode == "avg_pool" else window.max(axis=(1, 2))
    return result


def check(x: Any, **window: Any) -> None:
    average = evaluate("avg_pool", {"input": x}, **window)
    assert average.dtype == np.float32
    np.testing.assert_allclose(average, pooled("avg_pool", x, **window), rtol=6.1e-8, atol=1e-15)
    np.testing.assert_array_equal(evaluate("max_pool", {"input": x}, **window), pooled("max_pool", x, **window))


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (2, 3)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (0, 1, 0, 1), (1, 1, 1, 1), (1, 0, 2, 0)])
def test_kernel_stride_and_padding(kernel: Any, strides: Any, padding: Any) -> None:
    if max(padding[:2]) < kernel[0] and max(padding[2:]) < kernel[1]:
        check(floats(2, 7, 6, 3), kernel=kernel, strides=strides, padding=padding)


@pytest.mark.parametrize("size", [5, 6])
def test_same_padding_is_not_counted(size: int) -> None:
    padding = same_padding(size, 3, 2, 1) * 2
    check(floats(1, size, size, 2) - 5, kernel=(3, 3), strides=(2, 2), padding=padding)
    ones = evaluate("avg_pool", {"input": np.ones((1, size, size, 1), np.float32)}, kernel=(3, 3), padding=(1, 1, 1, 1))
    np.testing.assert_array_equal(ones, np.ones_like(ones))


def test_kernel_larger_than_the_map() -> None:
    check(floats(1, 2, 1, 4), kernel=(5, 5), padding=(2, 2, 2, 2))


def test_padding_is_never_the_maximum() -> None:
    x = np.full((1, 2, 2, 1), -7.0, np.float32)
    np.testing.assert_array_equal(
        evaluate("max_pool", {"input": x}, kernel=(2, 2), padding=(1, 1, 1, 1)), np.full((1, 3, 3, 1), -7.0)
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_maximum_of_integers(dtype: str) -> None:
    x = (
        np.random.default_rng(0)
        .integers(np.iinfo(dtype).min, -100 if dtype == "int8" else 9, (1, 5, 5, 2))
        .astype(dtype)
    )
    result = evaluate("max_pool", {"input": x}, kernel=(3, 3), padding=(1, 1, 1, 1))
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, pooled("max_pool", x, (3, 3), padding=(1, 1, 1, 1)))


@pytest.mark.parametrize("opcode", ["avg_pool", "max_pool"])
def test_nan_spoils_its_windows_only(opcode: str) -> None:
    x = floats(1, 4, 4, 1)
    x[0, 0, 0] = np.nan
    result = evaluate(opcode, {"input": x}, kernel=(2, 2), strides=(2, 2))
    np.testing.assert_array_equal(np.isnan(result[0, ..., 0]), [[True, False], [False, False]])


@pytest.mark.parametrize("opcode", ["avg_pool", "max_pool"])
@pytest.mark.parametrize("padding", [(2, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 3)])
def test_a_window_of_padding_only_is_refused(opcode: str, padding: Any) -> None:
    with pytest.raises(ShapeError, match="a window of padding only has no value") as raised:
        evaluate(opcode, {"input": floats(1, 6, 6, 1)}, kernel=(2, 2), padding=padding)
    assert raised.value.operand == "padding"


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 7, 7, 16), (1, 13, 5, 1)])
def test_global_average(shape: Any) -> None:
    x = floats(*shape)
    result = evaluate("global_avg_pool", {"input": x})
    assert result.shape == (shape[0], shape[3])
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, x.astype(np.float64).mean(axis=(1, 2)), rtol=6.1e-8, atol=1e-15)


def test_averages_of_large_maps_do_not_drift() -> None:
    x = np.full((1, 1024, 1024, 1), 0.1, np.float32)
    np.testing.assert_array_equal(evaluate("global_avg_pool", {"input": x}), [[np.float32(0.1)]])
    np.testing.assert_array_equal(
        evaluate("avg_pool", {"input": x[:, :256, :256]}, kernel=(256, 256)), [[[[np.float32(0.1)]]]]
    )


sizes = st.integers(1, 8)
kernels = st.integers(1, 4)
steps = st.integers(1, 3)
borders = st.integers(0, 3)


@settings(max_examples=60, deadline=None)
@given(st.tuples(sizes, sizes), st.tuples(kernels, kernels), st.tuples(steps, steps), st.tuples(*[borders] * 4))
def test_any_window_that_fits(size: Any, kernel: Any, strides: Any, padding: Any) -> None:
    assume(max(padding[:2]) < kernel[0] and max(padding[2:]) < kernel[1])
    assume(window_output(size[0], kernel[0], strides[0], 1, *padding[:2]) > 0)
    assume(window_output(size[1], kernel[1], strides[1], 1, *padding[2:]) > 0)
    check(floats(2, *size, 2), kernel=kernel, strides=strides, padding=padding)
