"""Static tensor types: shape, element type and, on quantized tensors, scale and zero point."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import prod

Shape = tuple[int, ...]


class ElementType(Enum):
    """Element types; the value is MLIR's spelling (`ui8` is unsigned, integers are signless otherwise)."""

    F32 = "f32"
    I8 = "i8"
    U8 = "ui8"
    I16 = "i16"
    I32 = "i32"
    I64 = "i64"

    @property
    def byte_width(self) -> int:
        return _BYTE_WIDTHS[self]

    @property
    def dtype(self) -> str:
        """The NumPy dtype's name."""
        return _DTYPES[self]

    @property
    def is_float(self) -> bool:
        return self is ElementType.F32


_BYTE_WIDTHS = {
    ElementType.F32: 4,
    ElementType.I8: 1,
    ElementType.U8: 1,
    ElementType.I16: 2,
    ElementType.I32: 4,
    ElementType.I64: 8,
}
_DTYPES = {
    ElementType.F32: "float32",
    ElementType.I8: "int8",
    ElementType.U8: "uint8",
    ElementType.I16: "int16",
    ElementType.I32: "int32",
    ElementType.I64: "int64",
}


@dataclass(frozen=True)
class Quantization:
    """Real = (q - zero_point) * scale; one pair per tensor, or one per index of `axis`."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int) -> Quantization:
        return cls((scale,), (zero_point,))


@dataclass(frozen=True)
class Storage:
    """How the elements of a tensor are stored; None for unquantized ones: the stored number is the value."""

    element: ElementType
    quantization: Quantization | None = None


@dataclass(frozen=True)
class TensorType:
    """A tensor `[N, …]`; N is written as 1 and every operation maps over it."""

    shape: Shape
    element: ElementType = ElementType.F32
    quantization: Quantization | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def byte_size(self) -> int:
        return self.elements * self.element.byte_width

    @property
    def storage(self) -> Storage:
        return Storage(self.element, self.quantization)

    def with_shape(self, shape: Shape) -> TensorType:
        return TensorType(shape, self.element, self.quantization)

    def stored_as(self, storage: Storage | None) -> TensorType:
        """The type with other elements; itself where `storage` is None."""
        return self if storage is None else TensorType(self.shape, storage.element, storage.quantization)

    def __str__(self) -> str:
        """As in reports: `28x28x24 f32`, without the batch."""
        sizes = self.shape[1:] if self.rank > 1 else self.shape
        return f"{'x'.join(map(str, sizes))} {self.element.name.lower()}"


MAX_ELEMENTS = 2**31 - 1
MAX_RANK = 8
_SMALLEST_SCALE, _LARGEST_SCALE = 2.0**-149, 3.4028234663852886e38
"""Of float32, the type that quantized values stand for."""
_STORAGE_BITS = {ElementType.I8: 8, ElementType.U8: 8, ElementType.I16: 16, ElementType.I32: 32}


def type_problem(type: TensorType) -> str | None:
    """Why no tensor can have `type`, or None: 1 to 8 sizes are at least 1, scales positive float32 numbers, zero points
    within the storage type, and one pair per index of the axis."""
    if any(size < 1 for size in type.shape):
        return f"has a size of 0 ({list(type.shape)})"
    if not type.shape:
        return "has no dimensions; the first one is the batch"
    if type.rank > MAX_RANK:
        return f"has {type.rank} dimensions, more than {MAX_RANK}"
    if type.elements > MAX_ELEMENTS:
        return f"has {type.elements} elements, more than {MAX_ELEMENTS}"
    return None if type.quantization is None else _quantization_problem(type, type.quantization)


def _quantization_problem(type: TensorType, quantization: Quantization) -> str | None:
    bits = _STORAGE_BITS.get(type.element)
    if bits is None:
        return f"cannot be quantized as {type.element.value}"
    low, high = (0, 2**bits - 1) if type.element is ElementType.U8 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    axis = quantization.axis
    if axis is not None and not 0 <= axis < type.rank:
        return f"has no axis {axis} to quantize along"
    pairs = 1 if axis is None else type.shape[axis]
    if len(quantization.scale) != pairs or len(quantization.zero_point) != pairs:
        return f"needs {pairs} scales and zero points, got {len(quantization.scale)}"
    if any(not _SMALLEST_SCALE <= scale <= _LARGEST_SCALE for scale in quantization.scale):
        return "has a scale that is no positive float32 number"
    if any(not low <= zero_point <= high for zero_point in quantization.zero_point):
        return f"has a zero point outside {low} to {high}"
    return None
