"""Empirical bias correction: biases that keep what a layer's readers get.

The float network's results and those of the quantized filter on quantized inputs differ, and a part of that is the same
at all places. Nagel et al. (2019, section 4.2) take the mean error of each channel off its bias. In front of a function
that is flat somewhere the mean counts what nobody sees: where hard-swish gives zero, an error changes nothing, and a
few large values that were clipped would move all the small ones. So the correction is the one of least squared error
behind the function, found by Gauss-Newton steps; without a function, and where these find nothing as good, it is the
mean error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from mnetdsl.interpreter.ops.activation import ACTIVATIONS
from mnetdsl.ir.core import Op, Value

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Function = Callable[[Floats], Floats]

PLACES = 8_000
"""Results of each channel that a correction is made of, of all images together."""
_STEPS = 4
_DAMPING = 1e-3
"""Added to the mean squared slope: channels that are flat almost everywhere are next to left alone."""
_REACH = np.float32(1 / 64)
"""Half of the distance that slopes are taken over."""


def function_behind(op: Op, outputs: Collection[Value] = ()) -> Function | None:
    """What is done to each result of `op` before anything else reads it; None where that is nothing.

    outputs: values that the network gives away; what is done to such a result beside that does not count.
    """
    names = [str(op.attributes.get("activation", "none"))]
    if len(op.result.users) == 1 and op.result not in outputs:
        names.append(op.result.users[0].opcode)
    applied = [ACTIVATIONS[name] for name in names if name in ACTIVATIONS]
    if not applied:
        return None

    def function(values: Floats) -> Floats:
        for apply in applied:
            out = np.empty_like(values)
            apply(values, out)
            values = out
        return values

    return function


def correction(seen: Floats, given: Floats, function: Function | None) -> Doubles:
    """What to add to the bias [O] of each channel.

    seen, given: [P, O], results of the float and of the quantized layer in front of `function`, at the same places.
    """
    mean: Doubles = (seen - given).mean(axis=0, dtype=np.float64)
    if function is None:
        return mean
    wanted = function(seen)
    found = np.zeros(seen.shape[1])
    moved, results = given, function(given)
    least = _cost(wanted, results)
    for _ in range(_STEPS):
        slope = (function(moved + _REACH) - function(moved - _REACH)) / (2 * _REACH)
        square = np.einsum("po,po->o", slope, slope, dtype=np.float64)
        step = np.einsum("po,po->o", slope, wanted - results, dtype=np.float64) / (square + _DAMPING * len(seen))
        further = given + (found + step).astype(np.float32)
        tried = function(further)
        cost = _cost(wanted, tried)
        better = cost < least
        if not better.any():
            break
        found, least = np.where(better, found + step, found), np.where(better, cost, least)
        moved, results = np.where(better, further, moved), np.where(better, tried, results)
    # Where numbers are far larger or smaller than the function's bends, slopes over fixed steps say little.
    clearly_better = _cost(wanted, function(given + mean.astype(np.float32))) < least / 2
    return np.where(clearly_better, mean, found)


def _cost(wanted: Floats, results: Floats) -> Doubles:
    lost = wanted - results
    cost: Doubles = np.einsum("po,po->o", lost, lost, dtype=np.float64)
    return cost
