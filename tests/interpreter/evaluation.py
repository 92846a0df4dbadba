"""Evaluates single operations, and the definition of a convolution that the tests compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from mnetdsl.interpreter import evaluate_op
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.types import ElementType, TensorType

Array = NDArray[Any]

WEIGHTS = ("filter", "bias", "scale", "offset", "mean", "variance")
"""Operands without a batch dimension."""

EPSILON = float(np.finfo(np.float32).eps)


def operand(name: str, array: Array) -> Value:
    element = next(element for element in ElementType if element.dtype == array.dtype)
    return Value(TensorType(array.shape if name in WEIGHTS else (1, *array.shape[1:]), element))


def make(opcode: str, operands: dict[str, Any], attributes: dict[str, Any]) -> tuple[Op, list[Array]]:
    """The operation and the arrays of its operands; an operand is an array, None or a list of arrays."""
    groups = {name: [given] if isinstance(given, np.ndarray) else list(given or []) for name, given in operands.items()}
    op = OPERATIONS[opcode](
        {name: [operand(name, array) for array in group] for name, group in groups.items()}, attributes
    )
    return op, [array for definition in op.operand_defs for array in groups.get(definition.name, [])]


def evaluate(opcode: str, operands: dict[str, Any], **attributes: Any) -> Array:
    op, arrays = make(opcode, operands, attributes)
    return evaluate_op(op, arrays, {})


def floats(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def correlate(
    x: Array,
    filter: Array,
    strides: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
) -> Array:
    """conv2d without its epilogue, in float64, by scipy: a dilated filter is one with zeros between its taps, a
    stride keeps every n-th result."""
    top, bottom, left, right = padding
    padded = np.pad(x.astype(np.float64), ((0, 0), (top, bottom), (left, right), (0, 0)))
    height, width, inputs, outputs = filter.shape
    spread = np.zeros((dilations[0] * (height - 1) + 1, dilations[1] * (width - 1) + 1, inputs, outputs))
    spread[:: dilations[0], :: dilations[1]] = filter
    results = [
        [signal.correlate(image, spread[..., output], mode="valid", method="direct") for output in range(outputs)]
        for image in padded
    ]
    full = np.array(results)[..., 0].transpose(0, 2, 3, 1)
    return full[:, :: strides[0], :: strides[1]]


def correlate_depthwise(x: Array, filter: Array, **window: Any) -> Array:
    """depthwise_conv2d without its epilogue: each channel is a convolution of its own."""
    channels = [
        correlate(x[..., channel : channel + 1], filter[:, :, channel : channel + 1], **window)
        for channel in range(x.shape[3])
    ]
    return np.concatenate(channels, axis=3)


def assert_rounded(result: Array, exact: Array, magnitude: Array, terms: int) -> None:
    """`result` is a float32 sum of `terms` products whose exact value is `exact` and whose absolute values sum to
    `magnitude`: it is off by at most one rounding of the running sum per addition and product (Higham, "Accuracy
    and Stability of Numerical Algorithms", eq. 3.5), in whatever order the sum was made."""
    assert result.dtype == np.float32
    assert result.shape == exact.shape
    np.testing.assert_array_less(np.abs(result - exact), (terms + 2) * EPSILON * magnitude + 1e-30)
