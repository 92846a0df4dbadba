"""Conversions between real and stored numbers; they exist in quantized graphs only.

The numbers stand in the types: real = (q - zero_point) * scale (docs/numerics.md gives the rounding).
"""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Operand
from mnetdsl.ir.types import ElementType, TensorType


class Quantize(Op):
    """Real numbers to stored ones, as the type of the result says.  input [N, …] f32  ->  [N, …] quantized"""

    opcode = "quantize"
    input = Operand()

    def infer(self) -> TensorType:
        if self.storage is None or self.storage.quantization is None:
            raise ShapeError("`quantize` needs a quantized type of its result", "input")
        return self.input.type


class Dequantize(Op):
    """Stored numbers to the real ones they stand for.  input [N, …] quantized  ->  [N, …] f32"""

    opcode = "dequantize"
    input = Operand()

    def infer(self) -> TensorType:
        if self.input.type.quantization is None:
            raise ShapeError(f"`dequantize` needs a quantized tensor, got {self.input.type}", "input")
        return TensorType(self.input.type.shape, ElementType.F32)


class Requantize(Op):
    """Stored numbers to those of another scale, zero point or width.  input [N, …] quantized  ->  [N, …] quantized"""

    opcode = "requantize"
    input = Operand()

    def infer(self) -> TensorType:
        if self.input.type.quantization is None:
            raise ShapeError(f"`requantize` needs a quantized tensor, got {self.input.type}", "input")
        if self.storage is None or self.storage.quantization is None:
            raise ShapeError("`requantize` needs a quantized type of its result", "input")
        return self.input.type
