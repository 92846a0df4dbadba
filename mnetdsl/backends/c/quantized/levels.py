"""What the rules for quantized tensors take from `numerics`: names of kernel variants, tables and constants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.interpreter.quantized.layer import Weighted, check_sums
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.pool import GlobalAvgPool
from mnetdsl.ir.types import ElementType, TensorType
from mnetdsl.numerics import clamps
from mnetdsl.numerics.bounds import ACCUMULATOR, WIDE_ACCUMULATOR, layer_bounds
from mnetdsl.numerics.grid import LIMITS
from mnetdsl.numerics.mean import mean_factor
from mnetdsl.numerics.requantization import Integers, quantize_multiplier, quantize_multipliers
from mnetdsl.numerics.scales import layer_factors, product_factor, sum_factors

_SUFFIXES = {
    ElementType.I8: "i8",
    ElementType.U8: "u8",
    ElementType.I16: "i16",
    ElementType.I32: "i32",
    ElementType.F32: "f32",
}


def width(value: Value) -> int:
    """Bytes of an element."""
    return value.type.element.byte_width


def variant(function: str, source: Value, result: Value) -> str:
    """The kernel for the elements of input and output: `conv2d_i8_i8`."""
    return f"{function}_{_SUFFIXES[source.type.element]}_{_SUFFIXES[result.type.element]}"


def limits(element: ElementType) -> tuple[int, int]:
    """Smallest and largest stored number."""
    return LIMITS[element.dtype]


def stored_number(type: TensorType, real: float) -> int:
    """`real` as stored, saturated."""
    own = grid(type)
    return min(max(clamps.stored_number(own, real), own.low), own.high)


def levels(op: Weighted, emitter: Emitter) -> str:
    """C text of the address of the struct `levels` of a layer with weights."""
    source, result = grid(op.input.type), grid(op.type)
    bounds = clamps.activation_range(result, op.activation)
    return emitter.shape("levels", source.zero_point, filter_zero_point(op, emitter), result.zero_point, *bounds)


def filter_zero_point(op: Weighted, emitter: Emitter) -> int:
    if op.filter_zero_point is None:
        return 0
    return int(emitter.constant(op.filter_zero_point)[1].reshape(-1)[0])


def requantization(op: Weighted, emitter: Emitter) -> tuple[str, str, str]:
    """C names of bias, multipliers and shifts of each output channel.

    Raises MN0722 where a sum of the layer might not fit its accumulator.
    """
    channels = op.type.shape[-1]
    check_layer_sums(op, emitter)
    multipliers, shifts = factors_of(op, emitter)
    assert op.filter_scale is not None, "a quantized layer has filter scales"
    name, _ = emitter.constant(op.filter_scale)
    stem = name.removesuffix(".weight_scale")
    return (
        _bias(op, stem, channels, emitter),
        emitter.add(f"{stem}.multiplier", multipliers.astype(np.int32)),
        emitter.add(f"{stem}.shift", shifts.astype(np.int8)),
    )


def _bias(op: Weighted, stem: str, channels: int, emitter: Emitter) -> str:
    if op.bias is not None:
        return emitter.table(op.bias)
    wide = op.input.type.element is ElementType.I16
    return emitter.add(f"{stem}.bias", np.zeros(channels, np.int64 if wide else np.int32))


def factors_of(op: Weighted, emitter: Emitter) -> tuple[Integers, Integers]:
    """Multiplier and shift of each output channel, [O]."""
    assert op.filter_scale is not None, "a quantized layer has filter scales"
    scales = emitter.constant(op.filter_scale)[1].reshape(-1).astype(np.float32)
    factors = layer_factors(grid(op.input.type), scales, grid(op.type), dense=isinstance(op, Dense))
    return quantize_multipliers(np.broadcast_to(factors, (op.type.shape[-1],)))


def biases_of(op: Weighted, emitter: Emitter) -> Integers:
    """[O], zeros where there are none."""
    if op.bias is None:
        return np.zeros(op.type.shape[-1], np.int64)
    return emitter.constant(op.bias)[1].astype(np.int64)


def check_layer_sums(op: Weighted, emitter: Emitter) -> None:
    """Raises MN0722 where a sum of the layer might not fit its accumulator."""
    source = grid(op.input.type)
    taps = emitter.constant(op.filter)[1].reshape(-1, op.type.shape[-1])
    bounds = layer_bounds(taps, filter_zero_point(op, emitter), source)
    bias = None if op.bias is None else emitter.constant(op.bias)[1]
    check_sums(op, bounds, bias, WIDE_ACCUMULATOR if source.dtype == "int16" else ACCUMULATOR)


def operand_numbers(op: Elementwise) -> tuple[int, ...]:
    """Fields of the struct `operands`."""
    left, right, result = grid(op.left.type), grid(op.right.type), grid(op.type)
    bounds = clamps.activation_range(result, op.activation)
    if op.opcode == "mul":
        factor = product_factor(left, right, result)
        return (left.zero_point, 0, 0, right.zero_point, 0, 0, result.zero_point, *factor, 1, *bounds)
    factors = sum_factors(left, right, result)
    sides = (left.zero_point, *factors.left, right.zero_point, *factors.right)
    return (*sides, result.zero_point, *factors.result, 1 << factors.headroom, *bounds)


def mean_numbers(op: GlobalAvgPool) -> tuple[int, ...]:
    """Fields of the struct `mean`."""
    source, result = grid(op.input.type), grid(op.type)
    count = op.input.type.shape[1] * op.input.type.shape[2]
    return (source.zero_point * count, result.zero_point, *mean_factor(count, source, result), result.low, result.high)


def numbers(type: TensorType) -> tuple[float, int]:
    """Scale and zero point."""
    own = grid(type)
    return own.scale, own.zero_point


def requantize_numbers(source: TensorType, result: TensorType) -> tuple[int, ...]:
    """Zero points of input and output, multiplier, shift and bounds of a requantization."""
    before, after = grid(source), grid(result)
    factor = quantize_multiplier(before.scale / after.scale)
    return (before.zero_point, after.zero_point, *factor, after.low, after.high)


def as_words(values: Integers) -> NDArray[np.int32]:
    """Numbers modulo 2^32, as registers hold them."""
    return values.astype(np.uint64).astype(np.uint32).view(np.int32)
