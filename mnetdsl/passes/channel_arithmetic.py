"""Arrays of quantized layers that have lost channels: what is left of filters, and biases with constants in them.

With the stored value v of an input channel that is constant, its zero point z, and weights w less their own,

    sum over taps of (v - z) w     is a number for each output channel, and becomes part of the bias.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mnetdsl.ir.core import ShapeError
from mnetdsl.ir.declare import AttributeValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def _numbers(attributes: Mapping[str, AttributeValue], name: str, below: int | None = None) -> list[int]:
    """A list of integers; with `below`, of indices."""
    values = attributes.get(name)
    if not isinstance(values, tuple):
        raise ShapeError(f"it needs a list `{name}`")
    numbers = [value for value in values if type(value) is int]
    if len(numbers) != len(values) or (below is not None and any(not 0 <= value < below for value in numbers)):
        raise ShapeError(f"`{name}` does not fit its sources")
    return numbers


def _take_channels(arrays: list[Array], attributes: Mapping[str, AttributeValue]) -> Array:
    """vector [O] -> those of `outputs`"""
    if len(arrays) != 1 or arrays[0].ndim != 1:
        raise ShapeError("it takes one vector")
    return arrays[0][_numbers(attributes, "outputs", len(arrays[0]))]


def _take_filter(arrays: list[Array], attributes: Mapping[str, AttributeValue]) -> Array:
    """filter [..., I, O] -> rows `inputs` and columns `outputs`"""
    if len(arrays) != 1 or arrays[0].ndim < 2:
        raise ShapeError("it takes one filter")
    filter = arrays[0]
    rows = _numbers(attributes, "inputs", filter.shape[-2])
    return filter[..., rows, :][..., _numbers(attributes, "outputs", filter.shape[-1])]


def _fold_channels(arrays: list[Array], attributes: Mapping[str, AttributeValue]) -> Array:
    """filter [..., I, O], perhaps bias [O] -> bias of `outputs` with `values` (v - z) of the channels `inputs` in it"""
    import numpy as np

    if len(arrays) not in (1, 2) or arrays[0].ndim < 2 or arrays[-1].shape[-1] != arrays[0].shape[-1]:
        raise ShapeError("it takes a filter and perhaps a bias")
    filter = arrays[0]
    rows, values = _numbers(attributes, "inputs", filter.shape[-2]), _numbers(attributes, "values")
    zero_point = attributes.get("zero_point")
    if len(rows) != len(values) or type(zero_point) is not int:
        raise ShapeError("`inputs` and `values` differ in length, or `zero_point` is missing")
    taps = (filter - zero_point).reshape(-1, *filter.shape[-2:]).sum(axis=0)[rows]
    folded = np.array(values, np.float64) @ taps
    whole = folded if len(arrays) == 1 else folded + arrays[1]
    result: Array = whole[_numbers(attributes, "outputs", filter.shape[-1])]
    return result


CHANNEL_FUNCTIONS: dict[str, Callable[[list[Array], Mapping[str, AttributeValue]], Array]] = {
    "take_channels": _take_channels,
    "take_filter": _take_filter,
    "fold_channels": _fold_channels,
}
