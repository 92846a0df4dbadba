"""Random grids and inputs for comparisons with TensorFlow Lite's reference kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.grid import LIMITS, Grid
from tests.tflite_models import Tensor

Array = NDArray[Any]
EIGHT_BITS = ("int8", "uint8")


def random_grid(rng: np.random.Generator, dtype: str = "int8", scales: tuple[float, float] = (0.002, 0.3)) -> Grid:
    """A scale spread evenly over its magnitudes, any zero point; 16-bit numbers have zero point 0."""
    low, high = LIMITS[dtype]
    scale = float(np.exp(rng.uniform(*np.log(scales))))
    return Grid(dtype, scale, 0 if dtype == "int16" else int(rng.integers(low, high + 1)))


def inputs(rng: np.random.Generator, shape: tuple[int, ...], grid: Grid) -> Iterator[Array]:
    """Noise over all stored numbers, then only the smallest, then only the largest."""
    yield rng.integers(grid.low, grid.high + 1, shape).astype(grid.dtype)
    yield np.full(shape, grid.low, grid.dtype)
    yield np.full(shape, grid.high, grid.dtype)


def on(grid: Grid, shape: tuple[int, ...]) -> Tensor:
    """A tensor of a TensorFlow Lite model on `grid`."""
    return Tensor(shape, grid.dtype, (grid.scale,), (grid.zero_point,))
