"""Conversions by the interpreter; `tests/numerics` compares them with the reference."""

from __future__ import annotations

import numpy as np

from mnetdsl.numerics.grid import Grid
from tests.interpreter.quantized.layers import evaluate


def test_there_and_back() -> None:
    grid = Grid("int8", 0.25, 3)
    q = np.arange(-128, 128, dtype=np.int8).reshape(2, 128)
    real = evaluate("dequantize", {"input": (q, grid)}, None)
    assert real.dtype == np.float32
    assert real[0, 0] == (-128 - 3) * 0.25
    np.testing.assert_array_equal(evaluate("quantize", {"input": (real, None)}, grid), q)


def test_what_is_not_finite_is_stored_at_the_ends() -> None:
    x = np.array([[np.inf, -np.inf, np.nan, 3e38]], np.float32)
    assert evaluate("quantize", {"input": (x, None)}, Grid("int8", 0.5, 7)).tolist() == [[127, -128, 7, 127]]


def test_to_another_width() -> None:
    q = np.array([[-128, 0, 127]], np.int8)
    ours = evaluate("requantize", {"input": (q, Grid("int8", 0.5, 0))}, Grid("int16", 0.0625, 0))
    assert (ours.dtype.name, ours.tolist()) == ("int16", [[-1024, 0, 1016]])
