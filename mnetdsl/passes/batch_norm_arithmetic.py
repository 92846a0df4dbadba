"""Batch normalization folded into the weights around it, in float64 (Ioffe and Szegedy 2015, algorithm 2).

    y = (x - mean) / sqrt(variance + epsilon) * scale + offset
      = a x + (offset - mean a)   with   a = scale / sqrt(variance + epsilon)

Each function takes its sources in the order that its docstring says, vectors of one length apart from filters, and
raises `ShapeError` where they do not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

from mnetdsl.ir.core import ShapeError
from mnetdsl.ir.declare import AttributeValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def _norm_factor(scale: Array, variance: Array, attributes: dict[str, AttributeValue]) -> Array:
    """a = scale / sqrt(variance + epsilon)"""
    import numpy as np

    epsilon = attributes.get("epsilon")
    if not isinstance(epsilon, float):
        raise ShapeError("it needs `epsilon`")
    result: Array = scale / np.sqrt(variance + epsilon)
    return result


def _need(condition: bool) -> None:
    if not condition:
        raise ShapeError("the shapes of its sources do not fit")


def _per_channel(arrays: list[Array], counts: tuple[int, ...]) -> None:
    """All `arrays` are vectors of one length, and there are `counts` of them."""
    _need(len(arrays) in counts and len({array.shape for array in arrays}) == 1 and arrays[0].ndim == 1)


def _channel_axes(attributes: dict[str, AttributeValue]) -> int:
    """How many trailing axes of the filter make up the output channel: [I, O] 1, depthwise [C, M] 2."""
    axes = attributes.get("channel_axes")
    _need(axes in (1, 2))
    return 2 if axes == 2 else 1


def _scale_outputs(arrays: list[Array], attributes: dict[str, AttributeValue]) -> Array:
    """filter, scale, variance -> filter * a, per output channel"""
    _need(len(arrays) == 3)
    filter, *rest = arrays
    _per_channel(rest, (2,))
    shape = filter.shape[-_channel_axes(attributes) :]
    factor = _norm_factor(rest[0], rest[1], attributes)
    _need(factor.size == prod(shape))
    return filter * factor.reshape(shape)


def _offset_outputs(arrays: list[Array], attributes: dict[str, AttributeValue]) -> Array:
    """scale, variance, mean, offset, bias or nothing -> (bias - mean) * a + offset"""
    _per_channel(arrays, (4, 5))
    scale, variance, mean, offset, *bias = arrays
    shifted = bias[0] - mean if bias else -mean
    result: Array = shifted * _norm_factor(scale, variance, attributes) + offset
    return result


def _scale_inputs(arrays: list[Array], attributes: dict[str, AttributeValue]) -> Array:
    """filter, scale, variance -> filter * a, per input channel, which is the last axis but one of every filter"""
    _need(len(arrays) == 3 and arrays[0].ndim >= 2)
    filter, *rest = arrays
    _per_channel(rest, (2,))
    _need(rest[0].size == filter.shape[-2])
    return filter * _norm_factor(rest[0], rest[1], attributes)[:, None]


def _offset_inputs(arrays: list[Array], attributes: dict[str, AttributeValue]) -> Array:
    """filter, scale, variance, mean, offset, bias or nothing -> bias + sum of filter * (offset - mean * a)

    The sum runs over the window and, but for depthwise filters, over the input channels.
    """
    _need(len(arrays) in (5, 6) and arrays[0].ndim >= 2)
    filter, *rest = arrays
    _per_channel(rest[:4], (4,))
    scale, variance, mean, offset = rest[:4]
    _need(scale.size == filter.shape[-2])
    pushed = offset - mean * _norm_factor(scale, variance, attributes)
    axes = tuple(range(filter.ndim - _channel_axes(attributes)))
    total: Array = (filter * pushed[:, None]).sum(axis=axes).reshape(-1)
    if len(rest) == 4:
        return total
    _need(rest[4].shape == total.shape)
    return total + rest[4]


def _norm_scale(arrays: list[Array], attributes: dict[str, AttributeValue]) -> Array:
    """scale, variance -> a, in the shape that `shape` says"""
    _per_channel(arrays, (2,))
    return _shaped(_norm_factor(arrays[0], arrays[1], attributes), attributes)


def _norm_offset(arrays: list[Array], attributes: dict[str, AttributeValue]) -> Array:
    """scale, variance, mean, offset -> offset - mean * a, in the shape that `shape` says"""
    _per_channel(arrays, (4,))
    scale, variance, mean, offset = arrays
    return _shaped(offset - mean * _norm_factor(scale, variance, attributes), attributes)


def _shaped(array: Array, attributes: dict[str, AttributeValue]) -> Array:
    shape = attributes.get("shape")
    sizes = tuple(size for size in shape if type(size) is int) if isinstance(shape, tuple) else ()
    _need(bool(sizes) and min(sizes) > 0 and prod(sizes) == array.size)
    return array.reshape(sizes)


BATCH_NORM_FUNCTIONS: dict[str, Callable[[list[Array], dict[str, AttributeValue]], Array]] = {
    "scale_outputs": _scale_outputs,
    "offset_outputs": _offset_outputs,
    "scale_inputs": _scale_inputs,
    "offset_inputs": _offset_inputs,
    "norm_scale": _norm_scale,
    "norm_offset": _norm_offset,
}
"""Functions that a `Derivation` may name."""
