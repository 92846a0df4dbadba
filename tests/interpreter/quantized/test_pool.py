"""Pools of stored integers have the bits of TensorFlow Lite's reference kernels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.interpreter.quantized.layers import PADDINGS, evaluate, paddings
from tests.numerics.references import inputs, on, random_grid
from tests.tflite_models import Tensor, run_single

WINDOWS = [((2, 2), (2, 2)), ((3, 3), (2, 2)), ((3, 2), (1, 3)), ((5, 5), (1, 1))]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("opcode", ["avg_pool", "max_pool"])
def test_windows(rng: np.random.Generator, opcode: str, padding: int, dtype: str) -> None:
    code = {"avg_pool": "AVERAGE_POOL_2D", "max_pool": "MAX_POOL_2D"}[opcode]
    grid = random_grid(rng, dtype)
    for kernel, strides in WINDOWS:
        for x in inputs(rng, (2, 9, 8, 5), grid):
            around = paddings(x.shape, kernel, strides, (1, 1), padding)
            ours = evaluate(opcode, {"input": (x, grid)}, grid, kernel=kernel, strides=strides, padding=around)
            options = {
                "filterHeight": kernel[0],
                "filterWidth": kernel[1],
                "strideH": strides[0],
                "strideW": strides[1],
                "padding": padding,
            }
            expected = run_single(code, [on(grid, x.shape)], [x], on(grid, ours.shape), "Pool2DOptions", options)
            assert ours.dtype == expected.dtype
            np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("size", [(7, 7), (1, 1), (3, 5), (64, 65)])
def test_global(rng: np.random.Generator, size: tuple[int, int], dtype: str) -> None:
    axes = Tensor.constant(np.array([1, 2], np.int32))
    for _ in range(3):
        source = random_grid(rng, dtype)
        result = random_grid(rng, dtype, (source.scale / 3, source.scale * 2))
        for x in inputs(rng, (2, *size, 6), source):
            ours = evaluate("global_avg_pool", {"input": (x, source)}, result)
            expected = run_single("MEAN", [on(source, x.shape), axes], [x], on(result, (2, 6)), "ReducerOptions")
            np.testing.assert_array_equal(ours, expected)
