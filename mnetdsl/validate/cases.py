"""Inputs that show faults: the ends of the range, noise, ramps, and something like a photograph. Seeded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.core import Port
from mnetdsl.ir.types import ElementType, Shape

Array = NDArray[np.generic]
Picture = NDArray[np.float64]
"""Values in [0, 1], without the batch."""


@dataclass(frozen=True)
class Cases:
    """N inputs: `arrays` by port name, each `[N, …]`, and a name for each of the N."""

    names: tuple[str, ...]
    arrays: Mapping[str, Array]

    def chunks(self, size: int) -> list[dict[str, Array]]:
        """The arrays in pieces of at most `size` inputs, so that the layers of all of them fit into memory."""
        return [
            {port: array[start : start + size] for port, array in self.arrays.items()}
            for start in range(0, len(self.names), size)
        ]


def make_cases(ports: Sequence[Port], seed: int) -> Cases:
    """One input of each kind in `_KINDS`, the same for the same seed."""
    random = np.random.default_rng(seed)
    return Cases(
        tuple(_KINDS),
        {
            port.name: np.stack([_scaled(make(port.value.type.shape[1:], random), port) for make in _KINDS.values()])
            for port in ports
        },
    )


def _noise(shape: Shape, random: np.random.Generator) -> Picture:
    return random.random(shape)


def _gradient(shape: Shape, random: np.random.Generator) -> Picture:
    """A ramp along height in the first channel, width in the second, and so on in turn."""
    if len(shape) < 2:
        return np.broadcast_to(np.linspace(0.0, 1.0, shape[-1]), shape)
    ramps = [np.linspace(0.0, 1.0, size) for size in shape[:2]]
    picture = np.empty(shape)
    for channel in range(shape[-1]):
        axis = channel % 2
        ramp = ramps[axis].reshape([-1 if d == axis else 1 for d in range(len(shape) - 1)])
        picture[..., channel] = ramp if channel < 2 else 1.0 - ramp
    return picture


def _natural(shape: Shape, random: np.random.Generator) -> Picture:
    """Random fields of every scale, the coarse ones strongest as in photographs (amplitude as 1 / frequency)."""
    if len(shape) != 3:
        return random.random(shape)
    height, width, channels = shape
    picture = np.zeros(shape)
    scale = 2
    while scale <= 2 * max(height, width):
        rows, columns = -(-height // scale) + 1, -(-width // scale) + 1
        field = random.standard_normal((rows, columns, channels))
        down, across = _spread(rows, height, scale), _spread(columns, width, scale)
        picture += scale * np.einsum("hr,rkc,wk->hwc", down, field, across, optimize=True)
        scale *= 2
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low) if high > low else picture


def _spread(points: int, size: int, scale: int) -> Picture:
    """Linear interpolation from `points` that lie `scale` apart to `size` positions, as a matrix."""
    positions = np.arange(size) / scale
    return np.maximum(0.0, 1.0 - np.abs(positions[:, None] - np.arange(points)))


_KINDS: dict[str, Callable[[Shape, np.random.Generator], Picture]] = {
    "lowest": lambda shape, random: np.zeros(shape),
    "highest": lambda shape, random: np.ones(shape),
    "noise": _noise,
    "gradient": _gradient,
    "natural 1": _natural,
    "natural 2": _natural,
}


def _scaled(picture: Picture, port: Port) -> Array:
    """`picture` in the values that the port takes: all of an integer type, pixels where it is normalized, else ±1."""
    element = port.value.type.element
    if element.is_float:
        low, high = (0.0, 255.0) if "std" in port.attributes or "mean" in port.attributes else (-1.0, 1.0)
        return (low + picture * (high - low)).astype(np.float32)
    limits = np.iinfo(ElementType.I16.dtype if element in (ElementType.I32, ElementType.I64) else element.dtype)
    return np.rint(limits.min + picture * (limits.max - limits.min)).astype(element.dtype)
