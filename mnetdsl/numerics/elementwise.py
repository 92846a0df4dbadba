"""add, sub and mul of stored numbers, with NumPy's broadcast.

TensorFlow Lite: reference/integer_ops/add.h, reference/sub.h, reference/integer_ops/mul.h and their `Prepare`. Of
16 bits add is the general path (`pot_scale_int16` off).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.requantization import Integers, multiply_by_quantized_multiplier
from mnetdsl.numerics.rounding import saturate
from mnetdsl.numerics.scales import product_factor, sum_factors

BLOCK = 16 * 1024
"""Elements at a time, so that the 64-bit numbers in between stay in the cache."""


def add(
    left: NDArray[Any], right: NDArray[Any], grids: tuple[Grid, Grid], result: Grid, activation: str
) -> NDArray[Any]:
    """`grids` are those of `left` and `right`, of one dtype."""
    return _sum(left, right, grids, result, activation, 1)


def sub(
    left: NDArray[Any], right: NDArray[Any], grids: tuple[Grid, Grid], result: Grid, activation: str
) -> NDArray[Any]:
    """`grids` are those of `left` and `right`, of one dtype."""
    return _sum(left, right, grids, result, activation, -1)


def _sum(
    left: NDArray[Any],
    right: NDArray[Any],
    grids: tuple[Grid, Grid],
    result: Grid,
    activation: str,
    sign: int,
) -> NDArray[Any]:
    factors = sum_factors(*grids, result)
    shape = np.broadcast_shapes(left.shape, right.shape)
    scaled = [
        np.broadcast_to(_scaled(operand, grid, factors.headroom, factor), shape)
        for operand, grid, factor in zip((left, right), grids, (factors.left, factors.right), strict=True)
    ]
    bounds = activation_range(result, activation)
    output = np.empty(shape, result.dtype)
    flat = output.reshape(-1)
    first, second = (operand.reshape(-1) for operand in scaled)
    for start in range(0, flat.size, BLOCK):
        block = slice(start, start + BLOCK)
        total = first[block] + second[block] if sign > 0 else first[block] - second[block]
        steps = multiply_by_quantized_multiplier(total, *factors.result)
        flat[block] = saturate(steps + result.zero_point, *bounds, result.dtype)
    return output


def _scaled(q: NDArray[Any], grid: Grid, headroom: int, factor: tuple[int, int]) -> NDArray[np.int32]:
    """(q - zero_point) * 2^headroom * factor; of 8 bits from a table of all of them."""
    if grid.dtype == "int16":
        return _scaled_steps(q.astype(np.int64) - grid.zero_point, headroom, factor)
    bits = np.arange(256, dtype=np.uint8)
    table = _scaled_steps(bits.view(grid.dtype).astype(np.int64) - grid.zero_point, headroom, factor)
    return table[q.view(np.uint8)]


def _scaled_steps(steps: Integers, headroom: int, factor: tuple[int, int]) -> NDArray[np.int32]:
    return multiply_by_quantized_multiplier(steps << headroom, *factor).astype(np.int32)


def mul(
    left: NDArray[Any], right: NDArray[Any], grids: tuple[Grid, Grid], result: Grid, activation: str
) -> NDArray[Any]:
    """`grids` are those of `left` and `right`, of one dtype."""
    factor = product_factor(*grids, result)
    product = (left.astype(np.int32) - grids[0].zero_point) * (right.astype(np.int32) - grids[1].zero_point)
    steps = multiply_by_quantized_multiplier(product, *factor)
    return saturate(steps + result.zero_point, *activation_range(result, activation), result.dtype)
