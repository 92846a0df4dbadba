"""The integers that stand for a tensor's real numbers: real = (q - zero_point) * scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.types import ElementType, Quantization, Storage

Floats = NDArray[np.float32]

BOUNDS = {
    ElementType.I8: (-128, 127),
    ElementType.U8: (0, 255),
    ElementType.I16: (-32768, 32767),
}
WEIGHT_LIMIT = 127
"""Weights are stored in [-127, 127], without the -128 whose product with itself no other pair has."""
SMALLEST_SCALE = 2.0**-100
"""A tensor that holds nothing but zeros has some scale; far below that, products of scales leave float32."""


def storage_for(low: float, high: float, element: ElementType = ElementType.I8) -> Storage:
    """The storage whose range holds [low, high] and zero, which has a code of its own.

    16 bits are symmetric (zero point 0), as TensorFlow Lite has them.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    first, last = BOUNDS[element]
    if element is ElementType.I16:
        return _storage(element, max(-low, high) / last, 0)
    scale = (high - low) / (last - first)
    if not scale > SMALLEST_SCALE:
        return _storage(element, 1.0, 0 if element is ElementType.I8 else first)
    zero_point = int(np.clip(np.rint(first - low / scale), first, last))
    return _storage(element, scale, zero_point)


def _storage(element: ElementType, scale: float, zero_point: int) -> Storage:
    if not scale > SMALLEST_SCALE:
        scale = 1.0
    return Storage(element, Quantization.per_tensor(float(np.float32(scale)), zero_point))


def numbers(storage: Storage) -> tuple[float, int]:
    """Scale and zero point of a tensor quantized as a whole."""
    if storage.quantization is None:
        raise ValueError("the storage is not quantized")
    return storage.quantization.scale[0], storage.quantization.zero_point[0]


def real_range(storage: Storage) -> tuple[float, float]:
    """The smallest and the largest number that can be stored."""
    scale, zero_point = numbers(storage)
    first, last = BOUNDS[storage.element]
    return (first - zero_point) * scale, (last - zero_point) * scale


def rounded(values: Floats, storage: Storage) -> Floats:
    """`values` as they come out of the storage: to the nearest stored number, halves away from zero, clamped."""
    scale, zero_point = numbers(storage)
    first, last = BOUNDS[storage.element]
    scaled = values * np.float32(1.0 / scale)
    codes = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    np.clip(codes, np.float32(first - zero_point), np.float32(last - zero_point), out=codes)
    codes *= np.float32(scale)
    result: Floats = codes
    return result
