"""How a layer's sums become stored bytes: in float32 where that is proven, else in fixed point, of factors that need it
in 64 bits a lane."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnetdsl.backends.iree.quantized.kernels.finish import MOST_SHIFT, Finish, finish_table
from mnetdsl.backends.iree.quantized.kernels.float_finish import FloatFinish, float_table
from mnetdsl.backends.iree.quantized.kernels.maps import signed, unsigned
from mnetdsl.backends.iree.quantized.kernels.proof import Steps, prove
from mnetdsl.backends.iree.quantized.kernels.wide_finish import WideFinish, wide_finish
from mnetdsl.backends.iree.quantized.layer import Array, Numbers
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.grid import Grid


def finish_of(numbers: Numbers, order: Array, lanes: int) -> tuple[Finish | FloatFinish, Array]:
    """What finishes a layer, and its table, in which the padded channels stand in `order`."""
    bounds = activation_range(numbers.result, numbers.op.activation)
    in_float = float_finish(numbers.result, bounds, numbers.factors, numbers.reach, order, lanes)
    return in_float or _fixed_finish(numbers, order, lanes)


def float_finish(
    result: Grid,
    bounds: tuple[int, int],
    factors: tuple[Array, Array],
    reach: tuple[Array, Array],
    order: Array,
    lanes: int,
) -> tuple[FloatFinish, Array] | None:
    """For sums `reach` (smallest and largest) of each channel, factors (multipliers and shifts) and clamps. `order` is
    that of the padded channels in the table."""
    low, high, zero_point = (signed(result, number) for number in (*bounds, result.zero_point))
    steps = Steps(*factors, zero_point, low, high, *reach, low >= zero_point)
    return proven_finish(steps, order, lanes)


def proven_finish(steps: Steps, order: Array, lanes: int) -> tuple[FloatFinish, Array] | None:
    """Counted from the middle of the bytes where `steps` may be, or from the zero point."""
    for each in (steps, replace(steps, centered=False)):
        proven = prove(each)
        if proven is not None:
            zero_point = 0 if each.centered else each.zero_point
            finish = FloatFinish(each.low, each.high, zero_point, each.centered, len(proven.sums))
            return finish, float_table(proven, order, lanes)
    return None


def uniform_finish(
    result: Grid, bounds: tuple[int, int], factor: tuple[int, int], reach: tuple[int, int], lanes: int
) -> tuple[Finish | FloatFinish, Array]:
    """As `finish_of`, one factor for all channels; the table is that of one vector."""
    multiplier, shift, least, most = (np.full(lanes, number, np.int64) for number in (*factor, *reach))
    order = np.arange(lanes)
    in_float = float_finish(result, bounds, (multiplier, shift), (least, most), order, lanes)
    return in_float or exact_finish(result, bounds, (multiplier, shift), order, lanes)


def exact_finish(
    result: Grid, bounds: tuple[int, int], factors: tuple[Array, Array], order: Array, lanes: int
) -> tuple[WideFinish, Array]:
    """In 64 bits a lane, for any factors and sums."""
    low, high, zero_point = (unsigned(result, number) for number in (*bounds, result.zero_point))
    return wide_finish(factors, (low, high), zero_point, order, lanes)


def _fixed_finish(numbers: Numbers, order: Array, lanes: int) -> tuple[Finish, Array]:
    """In fixed point. A factor with which no sum leaves the zero point is 0."""
    multipliers, shifts = (np.array(array) for array in numbers.factors)
    largest = np.maximum(-numbers.reach[0], numbers.reach[1]).astype(np.float64)
    vanishing = (multipliers == 0) | (largest * multipliers * np.exp2(shifts - 31.0) < 0.49)
    multipliers[vanishing], shifts[vanishing] = 0, -1
    if (shifts > -1).any() or (shifts < -MOST_SHIFT).any():
        bounds = activation_range(numbers.result, numbers.op.activation)
        return exact_finish(numbers.result, bounds, (multipliers, shifts), order, lanes)
    multipliers = np.pad(multipliers, (0, len(order) - len(multipliers)))[order]
    shifts = np.pad(shifts, (0, len(order) - len(shifts)), constant_values=-1)[order]
    low, high = (unsigned(numbers.result, bound) for bound in activation_range(numbers.result, numbers.op.activation))
    zero_point = unsigned(numbers.result, numbers.result.zero_point)
    return Finish(low, high, low < zero_point), finish_table(multipliers, shifts, zero_point, lanes)
