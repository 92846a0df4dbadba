"""Preprocessing of an image: numbers to float32, then (x - mean) / std as the interpreter rounds it.

input, output [pixels, C], nothing between pixels: the first layer reads a few channels, not vectors of them.

A division takes as long as eight multiplications. Bytes are few enough to try all of them while compiling: where the
product with the reciprocal, as it is or corrected once, has all 256 quotients to the bit, it replaces the division.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import Literal

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import (
    Memory,
    MlirValue,
    Position,
    filled,
    least,
    loop,
    multiply_add,
    vector_type,
    zeros,
)

Floats = NDArray[np.float32]
Quotient = Literal["product", "corrected", "division"]


@dataclass(frozen=True)
class Normalize:
    """`element` as MLIR writes it, `signed` where it is an integer with a sign; mean, std: one value a channel, or one
    for all."""

    size: int
    element: str
    signed: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    quotient: Quotient
    lanes: int

    @property
    def name(self) -> str:
        return f"normalize_{self.size}_{self.quotient}"

    @property
    def _period(self) -> int:
        """Vectors after which the channels lie in the lanes as before."""
        return lcm(max(len(self.mean), len(self.std)), self.lanes) // self.lanes

    @property
    def grid(self) -> Grid:
        return share(max(1, self.size // (self._period * self.lanes))), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, self.element),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        lanes, period = self.lanes, self._period
        step = period * lanes
        count = self.size // step
        rounds = -(-count // self.grid[0])
        first = group[0] * rounds
        if count:
            with loop(first, least(first + rounds, count)) as round:
                for i in range(period):
                    at = round * step + i * lanes
                    target.store(self._normalized(source.vector(at, lanes), i), at)
        # What fills no round: every workgroup writes the same.
        for i, at in enumerate(range(count * step, self.size, lanes)):
            rest = min(lanes, self.size - at)
            if rest == lanes:
                target.store(self._normalized(source.vector(at, lanes), i), at)
            else:
                target.store_some(self._normalized(source.some(at, rest, lanes, self._nothing), i), at, rest)

    @property
    def _nothing(self) -> MlirValue:
        if self.element == "f32":
            return filled(0.0, vector_type(self.lanes))
        return zeros(mlir.VectorType.get([self.lanes], mlir.Type.parse(self.element)))

    def _normalized(self, x: MlirValue, vector: int) -> MlirValue:
        """`x`: the vector at `vector` of a period."""
        type = vector_type(self.lanes)
        if self.element != "f32":
            x = (arith.sitofp if self.signed else arith.uitofp)(type, x)
        std = self._lanewise(np.array(self.std, np.float32), vector)
        x = arith.subf(x, _constant(self._lanewise(np.array(self.mean, np.float32), vector)))
        if self.quotient == "division":
            return arith.divf(x, _constant(std))
        factor = _constant(np.float32(1) / std)
        product = arith.mulf(x, factor)
        if self.quotient == "product":
            return product
        return multiply_add(multiply_add(product, _constant(-std), x), factor, product)

    def _lanewise(self, values: Floats, vector: int) -> Floats:
        start = vector * self.lanes
        found: Floats = values[np.arange(start, start + self.lanes) % len(values)]
        return found


def choose_quotient(mean: tuple[float, ...], std: tuple[float, ...]) -> Quotient:
    """The cheapest form that has the quotient's bits for all bytes, with or without sign."""
    bytes = np.arange(-128, 256, dtype=np.float32)[:, None]
    divisor = np.array(std, np.float32)
    shifted = bytes - np.array(mean, np.float32)
    wanted = shifted / divisor
    factor = np.float32(1) / divisor
    product = shifted * factor
    if _same(product, wanted):
        return "product"
    error = shifted.astype(np.float64) - product.astype(np.float64) * divisor  # exact: the leading bits cancel
    rounded = error.astype(np.float32)
    sum = rounded.astype(np.float64) * factor + product
    corrected = sum.astype(np.float32)
    # Where float64 has rounded the sum to the middle of two float32, its one rounding is not known.
    doubtful = np.abs(sum - corrected) * 2 == np.spacing(np.abs(corrected))
    return "corrected" if _same(corrected, wanted) and not doubtful.any() else "division"


def _same(left: Floats, right: Floats) -> bool:
    return left.tobytes() == right.astype(np.float32).tobytes()


def _constant(values: Floats) -> MlirValue:
    type = vector_type(len(values))
    return arith.constant(type, mlir.DenseElementsAttr.get(np.ascontiguousarray(values), type=type))
