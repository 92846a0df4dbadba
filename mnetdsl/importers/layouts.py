"""How a filter of theirs becomes one of ours: which axes change places, and which sizes of 1 go."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.types import Shape

_PERMUTATIONS: dict[tuple[str, str], tuple[int, ...]] = {
    ("PyTorch", "conv2d"): (2, 3, 1, 0),
    ("PyTorch", "depthwise_conv2d"): (2, 3, 0, 1),
    ("PyTorch", "dense"): (1, 0),
}
"""Source and operation -> axes of their filter in our order. Keras' filters are laid out as ours."""


@dataclass(frozen=True)
class Conversion:
    """`squeezed` is their shape without trailing or leading sizes of 1; `note` says what is unusual about it."""

    squeezed: Shape
    axes: tuple[int, ...]
    shape: Shape
    note: str = ""

    def apply(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.ascontiguousarray(array.reshape(self.squeezed).transpose(self.axes)).reshape(self.shape)


def our_shape(source: str, opcode: str, operand: str, shape: Shape) -> Shape:
    """The shape of their tensor as we would lay it out, whatever its sizes: for messages."""
    squeezed = _squeezed(source, opcode, operand, shape)
    axes = _axes(source, opcode, operand)
    return tuple(squeezed[axis] for axis in axes) if len(axes) == len(squeezed) else squeezed


def find_conversion(source: str, opcode: str, operand: str, theirs: Shape, ours: Shape) -> Conversion | None:
    """How `theirs` becomes `ours`; None where the sizes differ."""
    squeezed = _squeezed(source, opcode, operand, theirs)
    axes = _axes(source, opcode, operand)
    if len(axes) == len(squeezed) and tuple(squeezed[axis] for axis in axes) == ours:
        return Conversion(squeezed, axes, ours)
    identity = tuple(range(len(squeezed)))
    if operand != "filter" and prod(squeezed) == prod(ours) and max(squeezed, default=1) == max(ours, default=1):
        return Conversion(squeezed, identity, ours)  # a scale [C] for our [1, 1, 1, C]
    if opcode != "dense" or operand != "filter" or len(squeezed) != 2:
        return None
    for other in ((0, 1), (1, 0)):
        if other != axes and tuple(squeezed[axis] for axis in other) == ours:
            return Conversion(squeezed, other, ours, "is transposed against what its library writes")
    return None


def _axes(source: str, opcode: str, operand: str) -> tuple[int, ...]:
    if operand != "filter":
        return (0,)
    rank = 2 if opcode == "dense" else 4
    return _PERMUTATIONS.get((source, opcode), tuple(range(rank)))


def _squeezed(source: str, opcode: str, operand: str, shape: Shape) -> Shape:
    """A 1x1 convolution behind global pooling is our dense layer."""
    if opcode != "dense" or operand != "filter" or len(shape) != 4:
        return shape
    if source == "PyTorch" and shape[2:] == (1, 1):
        return shape[:2]
    return shape[2:] if shape[:2] == (1, 1) else shape
