from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mnetdsl.ir.ops.window import same_padding, window_output
from tests.interpreter.evaluation import assert_rounded, correlate, evaluate, floats


def check(x: Any, filter: Any, bias: Any = None, **window: Any) -> None:
    """conv2d is scipy's correlation, to float32 rounding."""
    result = evaluate("conv2d", {"input": x, "filter": filter, "bias": bias}, **window)
    offset = 0.0 if bias is None else bias.astype(np.float64)
    exact = correlate(x, filter, **window) + offset
    magnitude = correlate(np.abs(x), np.abs(filter), **window) + np.abs(offset)
    assert_rounded(result, exact, magnitude, filter[..., 0].size + 1)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 3), (3, 2)])
@pytest.mark.parametrize("dilations", [(1, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 1), (3, 0, 1, 2)])
def test_strides_dilations_and_uneven_padding(strides: Any, dilations: Any, padding: Any) -> None:
    check(floats(1, 11, 9, 3), floats(3, 3, 3, 4), floats(4), strides=strides, dilations=dilations, padding=padding)


@pytest.mark.parametrize("size", [7, 8, 12, 13])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_same_padding(size: int, stride: int, kernel: int) -> None:
    padding = (*same_padding(size, kernel, stride, 1), *same_padding(size + 1, kernel, stride, 1))
    x, filter = floats(2, size, size + 1, 2), floats(kernel, kernel, 2, 3)
    result = evaluate("conv2d", {"input": x, "filter": filter}, strides=(stride, stride), padding=padding)
    assert result.shape == (2, -(-size // stride), -(-(size + 1) // stride), 3)
    check(x, filter, strides=(stride, stride), padding=padding)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2)])
def test_pointwise(strides: Any) -> None:
    check(floats(1, 7, 9, 16), floats(1, 1, 16, 24), floats(24), strides=strides)


def test_padded_pointwise_gives_the_bias_at_the_border() -> None:
    bias = floats(4)
    result = evaluate(
        "conv2d", {"input": floats(1, 3, 3, 2), "filter": floats(1, 1, 2, 4), "bias": bias}, padding=(1, 1, 1, 1)
    )
    np.testing.assert_array_equal(result[0, 0], np.broadcast_to(bias, (5, 4)))
    check(floats(1, 3, 3, 2), floats(1, 1, 2, 4), bias, padding=(1, 1, 1, 1))


def test_map_of_one_pixel() -> None:
    check(floats(1, 1, 1, 8), floats(1, 1, 8, 8), floats(8))


def test_kernel_larger_than_the_map() -> None:
    check(floats(1, 2, 3, 2), floats(5, 5, 2, 3), padding=(2, 2, 2, 2))


def test_windows_that_hold_padding_only() -> None:
    bias = floats(3)
    x, filter = floats(1, 2, 2, 1), floats(2, 2, 1, 3)
    result = evaluate("conv2d", {"input": x, "filter": filter, "bias": bias}, padding=(3, 0, 0, 4))
    np.testing.assert_array_equal(result[0, 0], np.broadcast_to(bias, (5, 3)))
    check(x, filter, bias, padding=(3, 0, 0, 4))


def test_every_image_of_a_batch() -> None:
    check(floats(3, 6, 5, 4), floats(3, 3, 4, 5), floats(5), padding=(1, 1, 1, 1))
    check(floats(3, 6, 5, 4), floats(1, 1, 4, 5), floats(5))


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("band_elements", [1, 60, 200])
def test_bands_of_any_height(kernel: int, band_elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("mnetdsl.interpreter.ops.conv2d"), "BAND_ELEMENTS", band_elements)
    check(floats(2, 7, 5, 3), floats(kernel, kernel, 3, 4), floats(4))
    window = {"strides": (2, 1), "dilations": (2, 1), "padding": (6, 7, 0, 1)}
    check(floats(2, 7, 5, 3), floats(kernel, kernel, 3, 4), floats(4), **window)


@pytest.mark.parametrize("kernel", [1, 3])
def test_residual_is_added_behind_the_activation(kernel: int) -> None:
    x, filter, residual = floats(2, 5, 5, 4), floats(kernel, kernel, 4, 6), floats(2, 5, 5, 6, seed=1)
    window = {"padding": (kernel // 2,) * 4}
    plain = evaluate("conv2d", {"input": x, "filter": filter}, **window)
    fused = evaluate("conv2d", {"input": x, "filter": filter, "residual": residual}, activation="relu6", **window)
    np.testing.assert_array_equal(fused, np.clip(plain, 0, 6) + residual)


def test_residual_that_depends_on_no_input_is_added_to_each_image() -> None:
    x, filter, residual = floats(3, 2, 2, 4), floats(1, 1, 4, 4), floats(1, 2, 2, 4, seed=1)
    plain = evaluate("conv2d", {"input": x, "filter": filter})
    np.testing.assert_array_equal(
        evaluate("conv2d", {"input": x, "filter": filter, "residual": residual}), plain + residual
    )


@pytest.mark.parametrize("activation", ["relu", "hard_swish", "sigmoid", "gelu"])
def test_activation_follows_the_bias(activation: str) -> None:
    operands = {"input": floats(1, 4, 4, 3), "filter": floats(3, 3, 3, 5), "bias": floats(5)}
    expected = evaluate(activation, {"input": evaluate("conv2d", operands)})
    np.testing.assert_array_equal(evaluate("conv2d", operands, activation=activation), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_pixel_spoils_the_windows_that_hold_it_and_no_other(bad: float) -> None:
    x = floats(1, 6, 6, 1)
    x[0, 0, 0, 0] = bad
    result = evaluate("conv2d", {"input": x, "filter": np.ones((3, 3, 1, 1), np.float32)}, padding=(1, 1, 1, 1))
    spoiled = np.zeros((6, 6), bool)
    spoiled[:2, :2] = True
    np.testing.assert_array_equal(~np.isfinite(result[0, ..., 0]), spoiled)


sizes = st.integers(1, 9)
kernels = st.integers(1, 4)
steps = st.integers(1, 3)
borders = st.integers(0, 4)
channels = st.integers(1, 4)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 2),
    st.tuples(sizes, sizes),
    st.tuples(kernels, kernels),
    st.tuples(steps, steps),
    st.tuples(steps, steps),
    st.tuples(borders, borders, borders, borders),
    channels,
    channels,
)
def test_any_window_that_fits(
    batch: int, size: Any, kernel: Any, strides: Any, dilations: Any, padding: Any, inputs: int, outputs: int
) -> None:
    assume(window_output(size[0], kernel[0], strides[0], dilations[0], *padding[:2]) > 0)
    assume(window_output(size[1], kernel[1], strides[1], dilations[1], *padding[2:]) > 0)
    x, filter = floats(batch, *size, inputs), floats(*kernel, inputs, outputs)
    check(x, filter, floats(outputs), strides=strides, dilations=dilations, padding=padding)
