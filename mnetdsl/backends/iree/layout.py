"""Values as own kernels hold them: flat, each pixel's channels padded to whole vectors.

A map [1, H, W, C] is `tensor<H*W*pitch>`; pixel p's channel c stands at p*pitch + c, and what stands in the padding is
finite but means nothing. The conversions to and from tensors of the IR's shape cost nothing where pitch equals C.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Protocol

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, tensor

from mnetdsl.backends.iree.tensors import (
    MlirValue,
    collapsed,
    elementwise,
    expanded,
    number,
    reshaped,
    shape_of,
    whole,
)
from mnetdsl.ir.types import Shape


@dataclass(frozen=True)
class Packed:
    """`value` is flat; `pitch` elements from pixel to pixel. `raised`: i8 numbers plus 128, as unsigned bytes."""

    value: MlirValue
    pitch: int
    raised: bool = False

    @property
    def element(self) -> str:
        """As MLIR writes it: f32 or bf16."""
        return str(self.value.type.element_type)


def pack(value: MlirValue, pitch: int) -> Packed:
    """A tensor [1, …, C] under another pitch."""
    *_, channels = shape_of(value)
    pixels = prod(shape_of(value)) // channels
    if pitch == channels:
        return Packed(reshaped(value, (pixels * channels,)), pitch)
    rows = reshaped(value, (pixels, channels))
    type = mlir.RankedTensorType.get([pixels, pitch], value.type.element_type)
    zero = number(0, value.type.element_type)
    op = tensor.PadOp(type, rows, [], [], [0, 0], [0, pitch - channels])
    index = mlir.IndexType.get()
    with mlir.InsertionPoint(op.regions[0].blocks.append(index, index)):
        tensor.YieldOp(zero)
    return Packed(collapsed(op.result, [(0, 1)]), pitch)


def stored_as(packed: Packed, element: str) -> Packed:
    """The same numbers as f32 or bf16."""
    if packed.element == element:
        return packed
    type = mlir.Type.parse(element)
    convert = arith.extf if element == "f32" else arith.truncf
    value = elementwise(shape_of(packed.value), [whole(packed.value)], lambda x: convert(type, x), element=type)
    return Packed(value, packed.pitch)


def raised(packed: Packed) -> Packed:
    """Bytes as unsigned ones, 128 higher, or back."""
    byte = packed.value.type.element_type
    value = elementwise(
        shape_of(packed.value), [whole(packed.value)], lambda x: arith.xori(x, number(-128, byte)), element=byte
    )
    return Packed(value, packed.pitch, not packed.raised)


def unpack(packed: Packed, shape: Shape) -> MlirValue:
    """The tensor of `shape`, [1, …, C], without what pads the channels; f32 where it is stored as bf16."""
    if packed.element == "bf16":
        packed = stored_as(packed, "f32")
    if packed.raised:
        packed = raised(packed)
    *_, channels = shape
    pixels = prod(shape) // channels
    if packed.pitch == channels:
        return reshaped(packed.value, shape)
    rows = expanded(packed.value, (pixels, packed.pitch), [(0, 1)])
    type = mlir.RankedTensorType.get([pixels, channels], packed.value.type.element_type)
    kept = tensor.ExtractSliceOp(type, rows, [], [], [], [0, 0], [pixels, channels], [1, 1]).result
    return reshaped(kept, shape)


class Layout(Protocol):
    """How values get from one form to the other: `pack` and `unpack`, or the same by other means."""

    def pack(self, value: MlirValue, pitch: int) -> Packed: ...
    def unpack(self, packed: Packed, shape: Shape) -> MlirValue: ...


class LinalgLayout:
    """By linalg."""

    def pack(self, value: MlirValue, pitch: int) -> Packed:
        return pack(value, pitch)

    def unpack(self, packed: Packed, shape: Shape) -> MlirValue:
        return unpack(packed, shape)


LINALG: Layout = LinalgLayout()
