"""Operators whose operands are all constant: exporters compute shapes with them, and keep weights quantized.

What is computed here is bounded: lists of sizes, and weights in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mnetdsl.importers.onnx.flat import Array, Node
from mnetdsl.importers.tflite.flat import FlatQuantization
from mnetdsl.importers.tflite.graph import Constant
from mnetdsl.ir.types import MAX_RANK

MAX_NUMBERS = 65_536
"""Of a result that is computed and not only moved."""
KINDS = {"float32": "FLOAT32", "int8": "INT8", "uint8": "UINT8", "int16": "INT16", "int32": "INT32", "int64": "INT64"}
INTEGERS = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool"}
"""ONNX's numbers of integer types -> NumPy's names."""


def constant_of(array: Array, name: str = "") -> Constant:
    return Constant(array, KINDS.get(array.dtype.name, array.dtype.name.upper()), None, name)


def folded(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    """The result of `node` on constants; None where it is none of those operators.

    operands: None where one is left out. Raises `ValueError` and what NumPy raises where they contradict each other.
    """
    fold = FOLDS.get(node.kind)
    if fold is None or not operands or operands[0] is None:
        return None
    found = fold(node, operands)
    return None if found is None else replace(found, name=found.name or node.outputs[0])


def dequantized(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    """A DequantizeLinear of a constant: the stored numbers with their scales."""
    stored, scale = operands[0], operands[1]
    if stored is None or scale is None or node.integer("block_size", 0):
        raise ValueError("its scale is no constant, or one of many blocks")
    scales = scale.array.astype(np.float64).reshape(-1)
    points = np.zeros(1, np.int64)
    if len(operands) > 2 and operands[2] is not None:
        points = operands[2].array.astype(np.int64).reshape(-1)
    if points.size not in (1, scales.size) or not scales.size:
        raise ValueError("it has another number of zero points than of scales")
    check_scales(scales)
    axis = node.integer("axis", 1)
    axis = axis + stored.array.ndim if axis < 0 else axis
    if scales.size > 1 and (axis >= stored.array.ndim or stored.array.shape[axis] != scales.size):
        raise ValueError(f"it has {scales.size} scales along dimension {axis}")
    zero_points = tuple(int(point) for point in np.broadcast_to(points, scales.shape))
    quantization = FlatQuantization(tuple(map(float, scales)), zero_points, axis if scales.size > 1 else 0)
    return Constant(stored.array, stored.element, quantization, stored.name)


def check_scales(scales: Array) -> None:
    if not np.isfinite(scales).all() or (scales <= 0).any() or (scales.astype(np.float32) <= 0).any():
        raise ValueError("it has a scale that is no positive number")


def _quantized(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    """A QuantizeLinear of weights that the file holds in float, rounded half to even as ONNX has it."""
    real, scale = operands[0], operands[1]
    point = operands[2] if len(operands) > 2 else None
    if real is None or scale is None or node.integer("block_size", 0):
        return None
    points = np.zeros(1, np.uint8) if point is None else point.array
    kind = points.dtype
    if kind.kind not in "iu":
        raise ValueError("its zero point is no integer")
    check_scales(scale.array.astype(np.float64))
    shape = [1] * real.array.ndim
    if scale.array.size > 1:
        shape[node.integer("axis", 1)] = -1
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    offset = np.broadcast_to(points.reshape(-1), scale.array.size).reshape(shape).astype(np.float64)
    with np.errstate(all="ignore"):
        steps = np.rint(real.real() / scale.array.astype(np.float32).reshape(shape)) + offset
    return constant_of(np.clip(np.nan_to_num(steps), low, high).astype(kind))


def _same(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    return operands[0]


def _transposed(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    (source,) = operands
    assert source is not None
    order = node.integers("perm", tuple(reversed(range(source.array.ndim))))
    found = source.quantization
    if found is not None and len(found.scales) > 1:
        found = FlatQuantization(found.scales, found.zero_points, order.index(found.axis))
    return Constant(source.array.transpose(order), source.element, found, source.name)


def _reshaped(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    source = _plain(operands[0])
    sizes = list(node.integers("shape", ())) if len(operands) < 2 else _integers(operands[1])
    sizes = [source.array.shape[place] if size == 0 else size for place, size in enumerate(sizes)]
    return _moved(source, source.array.reshape(sizes))


def _axes(node: Node, operands: Sequence[Constant | None]) -> list[int]:
    return _integers(operands[1]) if len(operands) > 1 else list(node.integers("axes", ()))


def _unsqueezed(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    source = _plain(operands[0])
    return _moved(source, np.expand_dims(source.array, tuple(_axes(node, operands))))


def _squeezed(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    source = _plain(operands[0])
    axes = _axes(node, operands)
    return _moved(source, np.squeeze(source.array, tuple(axes) if axes else None))


def _cast(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    source = _plain(operands[0])
    kind = INTEGERS.get(node.integer("to", 0))
    with np.errstate(all="ignore"):
        return constant_of(source.array.astype(np.float32 if kind is None else kind), source.name)


def _gathered(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    source, places = _small(operands[0]), _small(operands[1])
    return constant_of(np.asarray(np.take(source, places, axis=node.integer("axis", 0))))


def _joined(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    return constant_of(np.concatenate([_small(each) for each in operands], axis=node.integer("axis", 0)))


def _sliced(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    array = _small(operands[0])
    starts, ends = _integers(operands[1]), _integers(operands[2])
    axes = _integers(operands[3]) if len(operands) > 3 and operands[3] is not None else list(range(len(starts)))
    steps = _integers(operands[4]) if len(operands) > 4 and operands[4] is not None else [1] * len(starts)
    box = [slice(None)] * array.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        box[axis] = slice(start, end, step)
    return constant_of(array[tuple(box)])


def _filled(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
    sizes = _integers(operands[0])
    value = node.attributes.get("value")
    if min(sizes, default=0) < 0 or float(np.prod(np.array(sizes, np.float64))) > MAX_NUMBERS:
        raise ValueError("it makes too many numbers")
    number = value.reshape(-1)[:1] if isinstance(value, np.ndarray) and value.size else np.zeros(1, np.float32)
    return constant_of(np.full(sizes, number[0]))


def _arithmetic(function: Callable[[Array, Array], Array]) -> Fold:
    def fold(node: Node, operands: Sequence[Constant | None]) -> Constant | None:
        left, right = (_small(each) for each in operands)
        size = float(np.prod(np.array(np.broadcast_shapes(left.shape, right.shape), np.float64)))
        if size > MAX_NUMBERS:
            raise ValueError("it makes too many numbers")
        with np.errstate(all="ignore"):
            return constant_of(np.asarray(function(left, right)).astype(left.dtype))

    return fold


def _divided(left: Array, right: Array) -> Array:
    if left.dtype.kind not in "iu":
        return np.asarray(left / right)
    if (right == 0).any():
        raise ValueError("it divides by 0")
    return np.asarray(left // right)


def _plain(operand: Constant | None) -> Constant:
    """The operand; real numbers where it has several scales, whose axis would move."""
    if operand is None:
        raise ValueError("an operand is missing")
    if operand.quantization is not None and len(operand.quantization.scales) > 1:
        return Constant(operand.real(), "FLOAT32", None, operand.name)
    return operand


def _moved(source: Constant, array: Array) -> Constant:
    if array.ndim > MAX_RANK:
        raise ValueError(f"its result has {array.ndim} dimensions")
    return Constant(array, source.element, source.quantization, source.name)


def _small(operand: Constant | None) -> Array:
    if operand is None or operand.array.size > MAX_NUMBERS:
        raise ValueError("an operand is missing or too large")
    return operand.array if operand.quantization is None else operand.real()


def _integers(operand: Constant | None) -> list[int]:
    return [int(item) for item in _small(operand).reshape(-1)]


Fold = Callable[[Node, Sequence["Constant | None"]], "Constant | None"]
FOLDS: dict[str, Fold] = {
    "Identity": _same,
    "Transpose": _transposed,
    "Reshape": _reshaped,
    "Unsqueeze": _unsqueezed,
    "Squeeze": _squeezed,
    "Cast": _cast,
    "Gather": _gathered,
    "Concat": _joined,
    "Slice": _sliced,
    "ConstantOfShape": _filled,
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
    "Div": _arithmetic(_divided),
    "QuantizeLinear": _quantized,
    "DequantizeLinear": dequantized,
}
