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

    def with_shape(self, shape: Shape) -> TensorType:
        return TensorType(shape, self.element, self.quantization)

    def __str__(self) -> str:
        """As in reports: `28x28x24 f32`, without the batch."""
        sizes = self.shape[1:] if self.rank > 1 else self.shape
        return f"{'x'.join(map(str, sizes))} {self.element.value}"
