"""Maps in another size; the grid of stored numbers stays.

TensorFlow Lite: reference/resize_bilinear.h (int8 and int16 in fixed point with 10 fraction bits, uint8 and float32 in
float32) and reference/resize_nearest_neighbor.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.numerics.requantization import Integers
from mnetdsl.numerics.rounding import divide_half_away, round_half_away

FRACTION_BITS = 10
_ONE = 1 << FRACTION_BITS


@dataclass(frozen=True)
class Positions:
    """What each position of a result's axis reads: pixels `lower` and `upper`, `upper` with `weight` of the whole."""

    lower: Integers
    upper: Integers
    weight: NDArray[Any]


def nearest_positions(size: int, output: int, *, align_corners: bool, half_pixel_centers: bool) -> Integers:
    """The pixel that each of `output` positions of an axis of `size` pixels copies, computed in float32."""
    if align_corners and output > 1:
        scale = np.float32(size - 1) / np.float32(output - 1)
    else:
        scale = np.float32(size) / np.float32(output)
    offset = np.float32(0.5 if half_pixel_centers else 0.0)
    exact = (np.arange(output, dtype=np.float32) + offset) * scale
    whole = round_half_away(exact) if align_corners else np.floor(exact)
    return np.clip(whole.astype(np.int64), 0, size - 1)


def fixed_positions(size: int, output: int, *, align_corners: bool, half_pixel_centers: bool) -> Positions:
    """Positions of an axis with 10 fraction bits."""
    if align_corners and output > 1:
        scale = (_ONE * (size - 1) + (output - 1) // 2) // (output - 1)
    else:
        scale = (_ONE * size + output // 2) // output
    exact = np.arange(output, dtype=np.int64) * scale
    if half_pixel_centers:
        exact += scale // 2 - _ONE // 2
    # C divides towards zero.
    lower = np.maximum(_towards_zero(exact), 0)
    upper = np.minimum(_towards_zero(exact + _ONE - 1), size - 1)
    return Positions(lower, upper, exact - _ONE * lower)


def _towards_zero(x: Integers) -> Integers:
    result: Integers = np.sign(x) * (np.abs(x) // _ONE)
    return result


def float_positions(size: int, output: int, *, align_corners: bool, half_pixel_centers: bool) -> Positions:
    """Positions of an axis in float32."""
    if align_corners and output > 1:
        scale = np.float32(size - 1) / np.float32(output - 1)
    else:
        scale = np.float32(size) / np.float32(output)
    exact = np.arange(output, dtype=np.float32)
    exact = (exact + np.float32(0.5)) * scale - np.float32(0.5) if half_pixel_centers else exact * scale
    lower = np.maximum(np.floor(exact).astype(np.int64), 0)
    upper = np.minimum(np.ceil(exact).astype(np.int64), size - 1)
    return Positions(lower, upper, exact - lower.astype(np.float32))


def resize_nearest(
    q: NDArray[Any], size: tuple[int, int], *, align_corners: bool = False, half_pixel_centers: bool = False
) -> NDArray[Any]:
    """q [N, H, W, C]  ->  [N, *size, C]"""
    rows, columns = (
        nearest_positions(before, after, align_corners=align_corners, half_pixel_centers=half_pixel_centers)
        for before, after in zip(q.shape[1:3], size, strict=True)
    )
    return q[:, rows][:, :, columns]


def resize_bilinear(
    q: NDArray[Any], size: tuple[int, int], *, align_corners: bool = False, half_pixel_centers: bool = False
) -> NDArray[Any]:
    """q [N, H, W, C]  ->  [N, *size, C]"""
    fixed = q.dtype in (np.int8, np.int16)
    find = fixed_positions if fixed else float_positions
    rows, columns = (
        find(before, after, align_corners=align_corners, half_pixel_centers=half_pixel_centers)
        for before, after in zip(q.shape[1:3], size, strict=True)
    )
    down, across = rows.weight[:, None, None], columns.weight[:, None]
    up, back = (_ONE - down, _ONE - across) if fixed else (np.float32(1) - down, np.float32(1) - across)
    kind = np.int64 if fixed else np.float32

    def corner(vertical: Integers, horizontal: Integers, first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
        pixels: NDArray[Any] = q[:, vertical][:, :, horizontal].astype(kind)
        product: NDArray[Any] = pixels * first * second
        return product

    total: NDArray[Any] = corner(rows.lower, columns.lower, up, back)
    total = total + corner(rows.upper, columns.lower, down, back)
    total = total + corner(rows.lower, columns.upper, up, across)
    total = total + corner(rows.upper, columns.upper, down, across)
    if q.dtype == np.float32:
        return total
    whole = divide_half_away(total, 1 << (2 * FRACTION_BITS)) if fixed else np.floor(total + np.float32(0.5))
    result: NDArray[Any] = whole.astype(q.dtype)
    return result
