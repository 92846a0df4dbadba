"""Maps of bytes between the tensors of the IR and the words of kernels of scalar invocations."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, flow

from mnetdsl.backends.iree import layout
from mnetdsl.backends.iree.integers import i32
from mnetdsl.backends.iree.kernels.executables import Call, Executables, Given, Sized
from mnetdsl.backends.iree.kernels.language import Memory, Position, least
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.simt.language import each, elements_grid
from mnetdsl.backends.iree.layout import Packed
from mnetdsl.backends.iree.quantized.kernels.simt_words import byte_at, packed_bytes
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.tensors import MlirValue, reshaped, shape_of
from mnetdsl.ir.types import Shape


@dataclass(frozen=True)
class SimtBytePitch(Sized):
    """Pixels of `before` bytes as pixels of `after`, what is new being any bytes; an invocation a word. Both maps are
    padded to words; the input's last byte is number `last`."""

    KIND: ClassVar[str] = "simt_bytes_pitch"
    NUMBERS: ClassVar[tuple[str, ...]] = ("count", "before", "after", "last")

    def call(self, pixels: int, before: int, after: int) -> Call:
        size = padded_size(pixels * after, BYTES) // BYTES
        numbers = {"count": size, "before": before, "after": after, "last": pixels * before - 1}
        return Call(elements_grid(size), numbers, size)

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        source, target = memories
        before, after = given["before"], given["after"]
        with each(group, given["count"]) as at:
            bytes = []
            for place in range(BYTES):
                byte = at * BYTES + place
                channel = least(byte % after, before - 1)
                bytes.append(byte_at(source, least(byte // after * before + channel, given["last"]), signed=False))
            target.store_scalar(packed_bytes(bytes), at)


@dataclass(frozen=True)
class WordLayout:
    """What `Scope` converts by on targets of scalar invocations: bytes by kernels on words, floats by linalg."""

    executables: Executables

    def pack(self, value: MlirValue, pitch: int) -> Packed:
        *_, channels = shape_of(value)
        if not _is_bytes(value) or pitch % BYTES:
            return layout.pack(value, pitch)
        size = prod(shape_of(value))
        flat = _lengthened(reshaped(value, (size,)))
        if pitch == channels:
            return Packed(flat, pitch)
        return Packed(as_bytes(self._pitched(flat, size // channels, channels, pitch)), pitch)

    def unpack(self, packed: Packed, shape: Shape) -> MlirValue:
        if not _is_bytes(packed.value) or packed.raised:
            return layout.unpack(packed, shape)
        size = prod(shape)
        flat, channels = packed.value, shape[-1]
        if channels != packed.pitch and size > channels:
            flat = as_bytes(self._pitched(flat, size // channels, packed.pitch, channels))
        return reshaped(_shortened(flat, size), shape)

    def _pitched(self, bytes: MlirValue, pixels: int, before: int, after: int) -> MlirValue:
        kernel = SimtBytePitch()
        return self.executables.dispatch_sized(kernel, [as_words(bytes)], kernel.call(pixels, before, after))


def as_words(bytes: MlirValue) -> MlirValue:
    """The same memory, whole words of it."""
    return _viewed(bytes, mlir.RankedTensorType.get([shape_of(bytes)[0] // BYTES], i32()))


def as_bytes(words: MlirValue) -> MlirValue:
    return _viewed(words, mlir.RankedTensorType.get([shape_of(words)[0] * BYTES], _byte()))


def _viewed(value: MlirValue, type: MlirValue) -> MlirValue:
    return value if value.type == type else flow.TensorBitCastOp(type, value, [], []).result


def _lengthened(bytes: MlirValue) -> MlirValue:
    """Flat bytes with any behind them, up to a whole word: a copy, which no kernel makes."""
    (size,) = shape_of(bytes)
    if size % BYTES == 0:
        return bytes
    type = mlir.RankedTensorType.get([padded_size(size, BYTES)], _byte())
    room = flow.TensorEmptyOp(type, []).result
    return flow.TensorUpdateOp(room, [], [_index(0)], bytes, []).result


def _shortened(bytes: MlirValue, size: int) -> MlirValue:
    """The first of flat bytes, likewise."""
    if shape_of(bytes) == (size,):
        return bytes
    type = mlir.RankedTensorType.get([size], _byte())
    return flow.TensorSliceOp(type, bytes, [], [_index(0)], [_index(size)], []).result


def _index(value: int) -> MlirValue:
    return arith.constant(mlir.IndexType.get(), value)


def _byte() -> MlirValue:
    return mlir.IntegerType.get_signless(8)


def _is_bytes(value: MlirValue) -> bool:
    return bool(value.type.element_type == _byte())
