"""From types of the IR to the grids of `numerics`."""

from __future__ import annotations

from mnetdsl.ir.types import TensorType
from mnetdsl.numerics.grid import Grid


def grid(type: TensorType) -> Grid:
    """The grid of a quantized tensor: activations have one scale and one zero point."""
    quantization = type.quantization
    assert quantization is not None
    return Grid(type.element.dtype, quantization.scale[0], quantization.zero_point[0])
