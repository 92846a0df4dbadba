"""What each channel of a quantized graph can hold, whatever the input: intervals from the inputs to the outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.interpreter import evaluate_op
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise, Mul
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.ops.pool import GlobalAvgPool, Pool
from mnetdsl.ir.ops.quantize import Requantize
from mnetdsl.ir.ops.shape import Concat, Pad, Reshape
from mnetdsl.ir.ops.unary import UnaryOp
from mnetdsl.ir.types import TensorType
from mnetdsl.numerics import intervals
from mnetdsl.numerics.clamps import activation_range, stored_number
from mnetdsl.numerics.intervals import Interval
from mnetdsl.numerics.requantization import quantize_multipliers
from mnetdsl.numerics.scales import layer_factors
from mnetdsl.passes.derive import constant_of
from mnetdsl.passes.layers import Layer, residual_of

Array = NDArray[Any]
Intervals = Mapping[Value, Interval]


def channel_intervals(module: Module) -> dict[Value, Interval]:
    """The interval of each channel (last dimension) of every tensor of 8 bits; all constants must be loaded."""
    found: dict[Value, Interval] = {}
    for port in module.graph.inputs:
        _note(found, port.value, None)
    for op in module.graph.operations:
        rule = next((rule for kind, rule in _RULES if isinstance(op, kind)), None)
        known = all(value in found or constant_of(value) is not None for value in op.operands)
        possible = rule is not None and known and _eight_bits(op.type)
        _note(found, op.result, rule(op, found, module.resources) if possible and rule is not None else None)
    return found


def window_masks(layer: Layer) -> Iterator[tuple[tuple[bool, ...], tuple[bool, ...]]]:
    """Which rows and which columns of the window lie inside the map, for each kind of position once."""
    if isinstance(layer, Dense):
        yield (True,), (True,)
        return
    top, _, left, _ = layer.padding
    sides: list[dict[tuple[bool, ...], None]] = []
    for axis, before in enumerate((top, left)):
        size, positions = layer.input.type.shape[1 + axis], layer.type.shape[1 + axis]
        starts = (position * layer.strides[axis] - before for position in range(positions))
        taps = [tap * layer.dilations[axis] for tap in range(layer.filter.type.shape[axis])]
        sides.append(dict.fromkeys(tuple(0 <= start + tap < size for tap in taps) for start in starts))
    for rows in sides[0]:
        for columns in sides[1]:
            yield rows, columns


def filter_numbers(layer: Layer, resources: Mapping[str, Array]) -> Array:
    """The filter less its zero point, with four dimensions: that of a dense layer is [1, 1, I, O]."""
    filter = _array(layer.filter, resources).astype(np.int64)
    if layer.filter_zero_point is not None:
        filter = filter - int(_array(layer.filter_zero_point, resources).reshape(-1)[0])
    return filter.reshape(1, 1, *filter.shape) if isinstance(layer, Dense) else filter


def _array(value: Value, resources: Mapping[str, Array]) -> Array:
    constant = constant_of(value)
    assert constant is not None
    return resources[constant.resource]


def _eight_bits(type: TensorType) -> bool:
    return type.element.byte_width == 1 and type.quantization is not None and type.quantization.axis is None


def _note(found: dict[Value, Interval], value: Value, interval: Interval | None) -> None:
    channels = value.type.shape[-1]
    if interval is not None:
        found[value] = Interval(np.broadcast_to(interval.low, channels), np.broadcast_to(interval.high, channels))
    elif _eight_bits(value.type):
        found[value] = intervals.everything(grid(value.type), channels)
    elif value.type.element.dtype in ("int8", "uint8") and value.producer is None:
        low, high = (-128, 127) if value.type.element.dtype == "int8" else (0, 255)
        found[value] = Interval(np.full(channels, low, np.int64), np.full(channels, high, np.int64))


def _operand(value: Value, found: Intervals, resources: Mapping[str, Array]) -> Interval:
    if value in found:
        return found[value]
    numbers = _array(value, resources).astype(np.int64).reshape(-1, value.type.shape[-1])
    return Interval(numbers.min(axis=0), numbers.max(axis=0))


def _layer(op: Op, found: Intervals, resources: Mapping[str, Array]) -> Interval | None:
    assert isinstance(op, Layer)
    parts = (op.filter, op.filter_scale, op.bias, op.filter_zero_point)
    if any(value is not None and constant_of(value) is None for value in parts) or residual_of(op) is not None:
        return None
    assert op.filter_scale is not None
    source, result, channels = grid(op.input.type), grid(op.type), op.type.shape[-1]
    depthwise = isinstance(op, DepthwiseConv2d)
    taps = intervals.products(filter_numbers(op, resources), found[op.input], source.zero_point, depthwise=depthwise)
    sums = taps.windows(list(window_masks(op)))
    bias = np.int64(0) if op.bias is None else _array(op.bias, resources).astype(np.int64)
    factors = layer_factors(source, _array(op.filter_scale, resources), result, dense=isinstance(op, Dense))
    multipliers, shifts = (np.broadcast_to(part, channels) for part in quantize_multipliers(factors))
    bounds = activation_range(result, op.activation)
    return intervals.requantized(Interval(sums.low + bias, sums.high + bias), multipliers, shifts, result, bounds)


def _elementwise(op: Op, found: Intervals, resources: Mapping[str, Array]) -> Interval | None:
    assert isinstance(op, Elementwise)
    if not (_eight_bits(op.left.type) and _eight_bits(op.right.type)):
        return None
    operands = (_operand(op.left, found, resources), _operand(op.right, found, resources))
    grids = (grid(op.left.type), grid(op.right.type))
    if isinstance(op, Mul):
        return intervals.product(operands, grids, grid(op.type), op.activation)
    return intervals.total(op.opcode, operands, grids, grid(op.type), op.activation)


def _lookup(op: Op, found: Intervals, resources: Mapping[str, Array]) -> Interval:
    assert isinstance(op, Lookup)
    return intervals.looked_up(found[op.input], _array(op.table, resources), op.input.type.element.dtype)


def _function(op: Op, found: Intervals, resources: Mapping[str, Array]) -> Interval | None:
    """A unary function or `requantize`: its table is what it gives for all 256 numbers."""
    assert isinstance(op, UnaryOp | Requantize)
    element = op.input.type.element
    if not _eight_bits(op.input.type):
        return None
    numbers = np.arange(256, dtype=np.uint8).view(element.dtype).reshape(1, 256)
    one = type(op)({"input": Value(op.input.type.with_shape((1, 256)))}, op.attributes, op.location, op.storage)
    return intervals.looked_up(found[op.input], evaluate_op(one, [numbers], {})[0], element.dtype)


def _pool(op: Op, found: Intervals, resources: Mapping[str, Array]) -> Interval | None:
    """Neither a maximum nor a mean of numbers leaves their interval."""
    assert isinstance(op, Pool)
    return found[op.input] if op.type.storage == op.input.type.storage else None


def _mean(op: Op, found: Intervals, resources: Mapping[str, Array]) -> Interval | None:
    assert isinstance(op, GlobalAvgPool)
    if not _eight_bits(op.input.type):
        return None
    count = op.input.type.shape[1] * op.input.type.shape[2]
    return intervals.averaged(found[op.input], count, grid(op.input.type), grid(op.type))


def _pad(op: Op, found: Intervals, resources: Mapping[str, Array]) -> Interval | None:
    assert isinstance(op, Pad)
    if op.type.storage != op.input.type.storage:
        return None
    numbers = grid(op.type)
    border = min(max(stored_number(numbers, op.value), numbers.low), numbers.high)
    return found[op.input].joined(border, border) if any(op.padding) else found[op.input]


def _reshape(op: Op, found: Intervals, resources: Mapping[str, Array]) -> Interval | None:
    assert isinstance(op, Reshape)
    return found[op.input] if op.type.shape[-1] == op.input.type.shape[-1] else None


def _concat(op: Op, found: Intervals, resources: Mapping[str, Array]) -> Interval | None:
    assert isinstance(op, Concat)
    if op.axis != op.type.rank - 1 or any(value.type.storage != op.type.storage for value in op.inputs):
        return None
    parts = [_operand(value, found, resources) for value in op.inputs]
    return Interval(np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts]))


Rule = Callable[[Op, Intervals, Mapping[str, Array]], Interval | None]
_RULES: tuple[tuple[type[Op], Rule], ...] = (
    (Conv2d, _layer),
    (DepthwiseConv2d, _layer),
    (Dense, _layer),
    (Elementwise, _elementwise),
    (Lookup, _lookup),
    (UnaryOp, _function),
    (Requantize, _function),
    (Pool, _pool),
    (GlobalAvgPool, _mean),
    (Pad, _pad),
    (Reshape, _reshape),
    (Concat, _concat),
)
