"""What a stored integer stands for: real = (q - zero_point) * scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIMITS = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "int32": (-(2**31), 2**31 - 1),
}
"""Smallest and largest stored number by NumPy dtype."""


@dataclass(frozen=True)
class Grid:
    """The numbers that a quantized tensor can hold: one scale, a float32, and one zero point."""

    dtype: str
    scale: float
    zero_point: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", float(np.float32(self.scale)))

    @property
    def single(self) -> np.float32:
        """The scale for arithmetic in float32."""
        return np.float32(self.scale)

    @property
    def low(self) -> int:
        return LIMITS[self.dtype][0]

    @property
    def high(self) -> int:
        return LIMITS[self.dtype][1]

    @property
    def lowest(self) -> int:
        """Smallest q - zero_point."""
        return self.low - self.zero_point

    @property
    def highest(self) -> int:
        """Largest q - zero_point."""
        return self.high - self.zero_point
