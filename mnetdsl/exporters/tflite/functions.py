"""Functions of single numbers in TensorFlow Lite: its operators, and tables where it has none with our arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mnetdsl.exporters.problems import NotInFormatError
from mnetdsl.exporters.tflite.widths import ONE_WIDTH
from mnetdsl.exporters.tflite.writer import FUSED, Array, Writer
from mnetdsl.ir.ops.unary import Clamp, UnaryOp
from mnetdsl.ir.types import ElementType, TensorType
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.tables import clamp_table, unary_table
from mnetdsl.numerics.wide_tables import ENTRIES, FUNCTIONS, wide_table

SINGLE = {
    "relu": "RELU",
    "relu6": "RELU6",
    "hard_swish": "HARD_SWISH",
    "sigmoid": "LOGISTIC",
    "tanh": "TANH",
    "gelu": "GELU",
}
"""Activations that are one operator by themselves."""
CLAMPS = {(-1.0, 1.0): "RELU_N1_TO_1", (0.0, 1.0): "RELU_0_TO_1"}
CUTS = ("relu", "relu6")
FIXED = {"sigmoid": (1 / 256, -128), "tanh": (1 / 128, 0)}
"""Functions whose int8 result has to have this scale and zero point."""
APART = 7
"""Bits of a 16-bit number between two entries of its table."""
NOT_WIDE = "compute this layer in float (a column `compute` that says f32), or in 8 bits"


def grid(type: TensorType) -> Grid:
    assert type.quantization is not None
    return Grid(type.element.dtype, type.quantization.scale[0], type.quantization.zero_point[0])


def number(value: float) -> Array:
    return np.array([value], np.float32)


def finish(
    writer: Writer,
    code: str,
    inputs: Sequence[int],
    type: TensorType,
    options: Any,
    activation: str,
    *,
    inner: bool = False,
) -> int:
    """An operator with its activation inside where it can carry it, else behind it."""
    options.fusedActivationFunction = FUSED.get(activation, 0)
    if activation in FUSED:
        return writer.node(code, inputs, type, options, inner=inner)
    return activated(writer, activation, writer.node(code, inputs, type, options, inner=True), type)


def activated(writer: Writer, name: str, tensor: int, type: TensorType) -> int:
    """A function of float numbers."""
    if name in SINGLE:
        return writer.node(SINGLE[name], [tensor], type, schema.GeluOptionsT() if name == "gelu" else None)
    if name == "silu":
        gate = writer.node("LOGISTIC", [tensor], type, inner=True)
        return writer.node("MUL", [tensor, gate], type, schema.MulOptionsT())
    assert name == "hard_sigmoid"
    options = schema.AddOptionsT()
    options.fusedActivationFunction = FUSED["relu6"]
    shifted = writer.node("ADD", [tensor, writer.array(number(3.0))], type, options, inner=True)
    return writer.node("MUL", [shifted, writer.array(number(1 / 6))], type, schema.MulOptionsT())


def unary(op: UnaryOp, writer: Writer) -> int:
    source = writer.operand(op.input)
    if op.type.quantization is None:
        return activated(writer, op.opcode, source, op.type)
    result = grid(op.type)
    if op.input.type.element is ElementType.I16:
        if op.opcode not in CUTS:
            if op.type.element is not ElementType.I16:
                raise NotInFormatError("it makes 8 bits of 16", ONE_WIDTH)
            return wide_lookup(source, wide_table(FUNCTIONS[op.opcode], grid(op.input.type), result), op, writer)
    elif op.type.element is ElementType.I16 or op.opcode not in SINGLE or not _takes(op.opcode, result):
        return looked_up(source, unary_table(op.opcode, grid(op.input.type), result), op, writer)
    return writer.node(
        SINGLE[op.opcode], [source], writer.result, schema.GeluOptionsT() if op.opcode == "gelu" else None
    )


def _takes(function: str, result: Grid) -> bool:
    if function not in FIXED:
        return True
    scale, point = FIXED[function]
    return (result.scale, result.zero_point) == (scale, point + (128 if result.dtype == "uint8" else 0))


def looked_up(source: int, table: Array, op: UnaryOp, writer: Writer) -> int:
    """A function of 8-bit numbers that has no operator: the entries of its table, in ascending order, by number."""
    read, result = grid(op.input.type), op.type
    ascending = table[np.arange(read.low, read.high + 1).astype(read.dtype).view(np.uint8)]
    indices = TensorType(result.shape, ElementType.I32)
    stored = schema.TensorType.UINT8 if read.dtype == "uint8" else schema.TensorType.INT8
    options = _cast(stored, schema.TensorType.INT32)
    places = writer.node("CAST", [source], indices, options, inner=True)
    if read.low:
        places = writer.node("ADD", [places, writer.integers([-read.low])], indices, schema.AddOptionsT(), inner=True)
    entries = writer.array(ascending, result.quantization, f"{op.name}.table")
    return writer.node("GATHER", [entries, places], result, schema.GatherOptionsT())


def wide_lookup(source: int, table: Array, op: UnaryOp, writer: Writer) -> int:
    """A function of 16-bit numbers as `numerics.wide_tables` has it: an entry of 513, and a straight line to the next.

    Entry x >> 7 and slope times x & 127, in int32 throughout.
    """
    whole = TensorType(op.type.shape, ElementType.I32)

    def step(code: str, *inputs: int, options: Any = None) -> int:
        return writer.node(code, inputs, whole, options, inner=True)

    def entries(values: Array, places: int) -> int:
        return step("GATHER", writer.array(values.astype(np.int32)), places, options=schema.GatherOptionsT())

    x = step("CAST", source, options=_cast(schema.TensorType.INT16, schema.TensorType.INT32))
    seven = writer.integers([APART])
    place = step("RIGHT_SHIFT", x, seven, options=schema.RightShiftOptionsT())
    below = step("MUL", place, writer.integers([1 << APART]), options=schema.MulOptionsT())
    offset = step("SUB", x, below, options=schema.SubOptionsT())
    index = step("ADD", place, writer.integers([(ENTRIES - 1) // 2]), options=schema.AddOptionsT())
    base = entries(table[:-1], index)
    slope = step("SUB", entries(table[1:], index), base, options=schema.SubOptionsT())
    line = step("MUL", slope, offset, options=schema.MulOptionsT())
    line = step("ADD", line, writer.integers([1 << (APART - 1)]), options=schema.AddOptionsT())
    line = step("RIGHT_SHIFT", line, seven, options=schema.RightShiftOptionsT())
    value = step("ADD", base, line, options=schema.AddOptionsT())
    return writer.node("CAST", [value], op.type, _cast(schema.TensorType.INT32, schema.TensorType.INT16))


def _cast(source: int, result: int) -> Any:
    options = schema.CastOptionsT()
    options.inDataType, options.outDataType = source, result
    return options


def clamp(op: Clamp, writer: Writer) -> int:
    source = writer.operand(op.input)
    if op.type.quantization is not None:
        if op.type.element.byte_width > 1 or op.input.type.element.byte_width > 1:
            raise NotInFormatError("it has no such clamp of int16", NOT_WIDE)
        return looked_up(source, clamp_table(op.low, op.high, grid(op.input.type), grid(op.type)), op, writer)
    if (op.low, op.high) in CLAMPS:
        return writer.node(CLAMPS[op.low, op.high], [source], op.type)
    options = schema.MaximumMinimumOptionsT
    above = writer.node("MAXIMUM", [source, writer.array(number(op.low))], op.type, options(), inner=True)
    return writer.node("MINIMUM", [above, writer.array(number(op.high))], op.type, options())
