from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mnetdsl.interpreter.ops.depthwise_conv2d import FEW_CHANNELS
from mnetdsl.ir.ops.window import same_padding, window_output
from tests.interpreter.evaluation import assert_rounded, correlate_depthwise, evaluate, floats


def check(x: Any, filter: Any, bias: Any = None, **window: Any) -> None:
    """depthwise_conv2d is scipy's correlation of each channel, to float32 rounding."""
    result = evaluate("depthwise_conv2d", {"input": x, "filter": filter, "bias": bias}, **window)
    offset = 0.0 if bias is None else bias.astype(np.float64)
    exact = correlate_depthwise(x, filter, **window) + offset
    magnitude = correlate_depthwise(np.abs(x), np.abs(filter), **window) + np.abs(offset)
    assert_rounded(result, exact, magnitude, filter[:, :, 0, 0].size + 1)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 1), (1, 3)])
@pytest.mark.parametrize("dilations", [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 1), (3, 0, 1, 2)])
def test_strides_dilations_and_uneven_padding(strides: Any, dilations: Any, padding: Any) -> None:
    check(floats(1, 11, 9, 3), floats(3, 3, 3, 1), floats(3), strides=strides, dilations=dilations, padding=padding)


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_same_padding(size: int, stride: int, kernel: int) -> None:
    padding = (*same_padding(size, kernel, stride, 1), *same_padding(size, kernel, stride, 1))
    check(floats(2, size, size, 3), floats(kernel, kernel, 3, 1), strides=(stride, stride), padding=padding)


@pytest.mark.parametrize("channels", [16, FEW_CHANNELS, FEW_CHANNELS + 1, 300, 1100])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 3)])
def test_runs_of_several_pixels_and_of_one(channels: int, strides: Any) -> None:
    x, filter, bias = floats(1, 5, 12, channels), floats(3, 3, channels, 1), floats(channels)
    check(x, filter, bias, strides=strides, padding=(1, 1, 1, 1))


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_depth_multiplier_makes_neighbouring_channels(strides: Any) -> None:
    check(floats(2, 6, 5, 3), floats(3, 3, 3, 4), floats(12), strides=strides, padding=(1, 1, 1, 1))
    x, filter = floats(1, 3, 3, 2), np.zeros((1, 1, 2, 3), np.float32)
    filter[0, 0] = [[1, 2, 3], [10, 20, 30]]
    result = evaluate("depthwise_conv2d", {"input": x, "filter": filter})
    np.testing.assert_array_equal(result[..., 2], x[..., 0] * 3)
    np.testing.assert_array_equal(result[..., 4], x[..., 1] * 20)


def test_one_channel_and_map_of_one_pixel() -> None:
    check(floats(1, 1, 1, 1), floats(1, 1, 1, 1), floats(1))
    check(floats(1, 1, 1, 5), floats(3, 3, 5, 1), floats(5), padding=(1, 1, 1, 1))


def test_kernel_larger_than_the_map() -> None:
    check(floats(1, 2, 3, 4), floats(7, 7, 4, 1), padding=(3, 3, 3, 3))


def test_windows_that_hold_padding_only_give_the_bias() -> None:
    bias = floats(2)
    operands = {"input": floats(1, 2, 2, 2), "filter": floats(2, 2, 2, 1), "bias": bias}
    result = evaluate("depthwise_conv2d", operands, padding=(3, 0, 0, 0))
    np.testing.assert_array_equal(result[0, 0], np.broadcast_to(bias, (1, 2)))


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
@pytest.mark.parametrize("band_elements", [1, 50, 90])
def test_bands_of_any_height(strides: Any, band_elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("mnetdsl.interpreter.ops.depthwise_conv2d"), "BAND_ELEMENTS", band_elements)
    check(floats(2, 9, 7, 3), floats(3, 3, 3, 1), floats(3), strides=strides, padding=(1, 1, 1, 1))
    window = {"strides": strides, "dilations": (2, 1), "padding": (6, 7, 0, 1)}
    check(floats(2, 9, 7, 3), floats(3, 3, 3, 1), floats(3), **window)


@pytest.mark.parametrize("activation", ["relu6", "hard_swish", "silu"])
def test_activation_follows_the_bias(activation: str) -> None:
    operands = {"input": floats(1, 4, 4, 3), "filter": floats(3, 3, 3, 1), "bias": floats(3)}
    expected = evaluate(activation, {"input": evaluate("depthwise_conv2d", operands)})
    np.testing.assert_array_equal(evaluate("depthwise_conv2d", operands, activation=activation), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_pixel_spoils_its_channel_in_the_windows_that_hold_it(bad: float) -> None:
    x = floats(1, 5, 5, 2)
    x[0, 4, 4, 1] = bad
    result = evaluate(
        "depthwise_conv2d", {"input": x, "filter": np.ones((3, 3, 2, 1), np.float32)}, padding=(1, 1, 1, 1)
    )
    spoiled = np.zeros((5, 5, 2), bool)
    spoiled[3:, 3:, 1] = True
    np.testing.assert_array_equal(~np.isfinite(result[0]), spoiled)


sizes = st.integers(1, 9)
kernels = st.integers(1, 4)
steps = st.integers(1, 3)
borders = st.integers(0, 4)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 2),
    st.tuples(sizes, sizes),
    st.tuples(kernels, kernels),
    st.tuples(steps, steps),
    st.tuples(steps, steps),
    st.tuples(borders, borders, borders, borders),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_any_window_that_fits(
    batch: int, size: Any, kernel: Any, strides: Any, dilations: Any, padding: Any, channels: int, multiplier: int
) -> None:
    assume(window_output(size[0], kernel[0], strides[0], dilations[0], *padding[:2]) > 0)
    assume(window_output(size[1], kernel[1], strides[1], dilations[1], *padding[2:]) > 0)
    x, filter = floats(batch, *size, channels), floats(*kernel, channels, multiplier)
    check(x, filter, floats(channels * multiplier), strides=strides, dilations=dilations, padding=padding)
