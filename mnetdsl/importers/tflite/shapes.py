"""The shape that a layer gives, so that a file which states another one is refused before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from mnetdsl.importers.tflite.graph import Argument, Constant
from mnetdsl.ir.types import Shape


class ShapesDifferError(Exception):
    """Operands that the operation cannot take."""


def result_shape(
    operation: str, inputs: Sequence[Shape], arguments: Mapping[str, Argument], constants: Sequence[Constant]
) -> Shape:
    """The shape of the result, batch included. Raises `ShapesDifferError`."""
    first = inputs[0]
    match operation:
        case "conv2d":
            return (first[0], *_windows(first, arguments), _int(arguments["channels"]))
        case "depthwise_conv2d":
            return (first[0], *_windows(first, arguments), first[3] * _int(arguments["multiplier"]))
        case "avg_pool" | "max_pool":
            return (first[0], *_windows(first, arguments), first[3])
        case "dense":
            return (first[0], _int(arguments["features"]))
        case "add" | "sub" | "mul":
            return _broadcast([*inputs, *(constant.array.shape for constant in constants)])
        case "matmul":
            columns = inputs[1][1 if arguments.get("transpose") else 2]
            return (first[0], first[1], columns)
        case "global_avg_pool":
            return (first[0], first[3])
        case "reshape":
            shape = (first[0], *_ints(arguments["shape"]))
            if prod(shape) != prod(first):
                raise ShapesDifferError(f"{prod(first)} numbers cannot be {_sizes(shape)}")
            return shape
        case "pad":
            top, bottom, left, right = _ints(arguments["padding"])
            return (first[0], first[1] + top + bottom, first[2] + left + right, first[3])
        case "concat":
            return _joined(inputs, _int(arguments["axis"]))
        case "resize":
            return (first[0], *_ints(arguments["size"]), first[3])
        case "argmax":
            return first[:-1]
        case "transpose":
            return (first[0], *(first[axis + 1] for axis in _ints(arguments["order"])))
        case "slice":
            return _selected(first, _ints(arguments["begin"]), _ints(arguments["size"]))
        case _:
            return first


def _int(value: Argument) -> int:
    assert isinstance(value, int)
    return value


def _ints(value: Argument) -> tuple[int, ...]:
    assert isinstance(value, tuple)
    return tuple(int(item) for item in value)


def _sizes(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _windows(shape: Shape, arguments: Mapping[str, Argument]) -> tuple[int, int]:
    kernel, stride = _ints(arguments["kernel"]), _ints(arguments["stride"])
    dilation = _ints(arguments.get("dilation", (1, 1)))
    padding = _ints(arguments["padding"])
    sizes = []
    for axis in (0, 1):
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        size = shape[axis + 1] + padding[2 * axis] + padding[2 * axis + 1]
        if size < reach:
            raise ShapesDifferError(f"a window of {reach} does not fit into {size}")
        sizes.append((size - reach) // stride[axis] + 1)
    return sizes[0], sizes[1]


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    result = tuple(max(sizes) for sizes in zip(*padded, strict=True))
    if any(size not in (1, wide) for shape in padded for size, wide in zip(shape, result, strict=True)):
        raise ShapesDifferError(f"{' and '.join(map(_sizes, shapes))} do not fit")
    return result


def _joined(shapes: Sequence[Shape], axis: int) -> Shape:
    first = shapes[0]
    place = axis % len(first)
    others = [(*shape[:place], *shape[place + 1 :]) for shape in shapes]
    if any(len(shape) != len(first) for shape in shapes) or len(set(others)) > 1:
        raise ShapesDifferError(f"{' and '.join(map(_sizes, shapes))} cannot be joined")
    return (*first[:place], sum(shape[place] for shape in shapes), *first[place + 1 :])


def _selected(shape: Shape, begin: Sequence[int], size: Sequence[int]) -> Shape:
    for whole, start, count in zip(shape[1:], begin, size, strict=True):
        if start < 0 or count < 1 or start + count > whole:
            raise ShapesDifferError(f"{count} from {start} on are not in {whole}")
    return (shape[0], *size)
