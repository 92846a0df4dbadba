"""Conversions between real and stored numbers."""

from __future__ import annotations

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.quantize import Dequantize, Quantize, Requantize
from mnetdsl.numerics import conversions


def quantize(op: Quantize, frame: Frame) -> Array:
    return conversions.quantize(frame[op.input], grid(op.type))


def dequantize(op: Dequantize, frame: Frame) -> Array:
    return conversions.dequantize(frame[op.input], grid(op.input.type))


def requantize(op: Requantize, frame: Frame) -> Array:
    return conversions.requantize(frame[op.input], grid(op.input.type), grid(op.type))
