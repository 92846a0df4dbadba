"""Maps of stored bytes as kernels take them."""

from __future__ import annotations

from dataclasses import replace

from mnetdsl.backends.iree.kernels.executables import Kernel
from mnetdsl.backends.iree.kernels.isa import ByteIsa
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.layout import Packed, raised
from mnetdsl.backends.iree.quantized.kernels.frames import ByteFrame
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.grid import Grid

HALF_RANGE = 128


def byte_isa(shop: Workshop) -> ByteIsa:
    assert shop.isa.bytes is not None
    return shop.isa.bytes


def unsigned(grid: Grid, stored: int) -> int:
    """A stored number as an unsigned byte."""
    return stored + (HALF_RANGE if grid.dtype == "int8" else 0)


def signed(grid: Grid, stored: int) -> int:
    """A stored number as a signed byte."""
    return unsigned(grid, stored) - HALF_RANGE


def byte_map(shop: Workshop, value: Value, pitch: int | None = None) -> Packed:
    """`value` flat, channels padded to whole vectors or to `pitch`, as unsigned bytes."""
    packed = shop.scope.packed(value, pitch or padded_size(value.type.shape[-1], byte_isa(shop).lanes))
    if packed.raised == (value.type.element is ElementType.I8):
        return packed
    made = raised(packed)
    shop.scope.bind_packed(value, made)
    return made


def framed(shop: Workshop, value: Value, pitch: int, frame: ByteFrame) -> MlirValue:
    """A map as unsigned bytes, `pitch` from pixel to pixel, flat, in its frame."""
    source, kernel = framing(shop, value, pitch, frame)
    (result,) = shop.executables.dispatch(kernel, [source])
    return result


def framing(shop: Workshop, value: Value, pitch: int, frame: ByteFrame) -> tuple[MlirValue, ByteFrame]:
    """The map as it is, and what makes unsigned bytes in a frame of it."""
    packed = shop.scope.packed(value, pitch)
    return packed.value, replace(frame, flip=packed.raised != (value.type.element is ElementType.I8))


def run(shop: Workshop, op: Op, kernel: Kernel, arguments: list[MlirValue], pitch: int) -> str:
    """Emits the layer, whose pixels have `pitch` bytes, and returns its kernel's name."""
    result, *_ = shop.executables.dispatch(kernel, arguments)
    shop.scope.bind_packed(op.result, Packed(result, pitch, op.type.element is ElementType.I8))
    return kernel.name
