"""The sum of two maps of bytes in float32, proven by trying all pairs of bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, math
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, filled, least, loop
from mnetdsl.backends.iree.quantized.kernels.bytes import widened
from mnetdsl.backends.iree.quantized.kernels.float_finish import rounded, signed_bytes

Array = NDArray[Any]
TRIALS = 300
_SPREAD = 4e-6
_BYTES = 256


@dataclass(frozen=True)
class SumForm:
    """round(left * first + (right * second + offset)) of unsigned bytes, two fused multiply-adds, as a signed byte
    between `low` and `high`."""

    first: float
    second: float
    offset: float
    low: int
    high: int

    def table(self) -> Array:
        """[256, 256]: its results."""
        bytes = np.arange(_BYTES, dtype=np.float64)
        left, right = np.meshgrid(bytes, bytes, indexing="ij")
        # Products of 32 bits and sums of them are exact in float64; each step rounds once.
        inner = (right * self.second + self.offset).astype(np.float32).astype(np.float64)
        found = np.rint((left * self.first + inner).astype(np.float32))
        return np.clip(found, self.low, self.high)


def find_form(expected: Array, scales: tuple[float, float], offset: float, bounds: tuple[int, int]) -> SumForm | None:
    """A form with the results `expected` [256, 256], signed bytes, near the real numbers given; None where none is
    found."""
    random = np.random.default_rng(0)
    for trial in range(TRIALS):
        nudges = random.integers(-3, 4, 2) if trial else np.zeros(2)
        first, second = (float(np.float32(scale)) for scale in np.array(scales) * (1 + nudges * 2.0**-24))
        moved = float(np.float32(offset + (random.standard_normal() * _SPREAD if trial else 0.0)))
        form = SumForm(first, second, moved, *bounds)
        if np.array_equal(form.table(), expected):
            return form
    return None


@dataclass(frozen=True)
class ByteSum:
    """left, right, output [size]; size is a multiple of the lanes."""

    size: int
    lanes: int
    form: SumForm
    workgroups: int = 4

    @property
    def name(self) -> str:
        return f"bytes_sum_{self.size}"

    @property
    def grid(self) -> Grid:
        return share(self.size // self.lanes, self.workgroups), 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, "i8"), Buffer(self.size, "i8"))

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.size, "i8"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        left, right, target = memories
        size = -(-(self.size // self.lanes) // self.grid[0]) * self.lanes
        start = group[0] * size
        with loop(start, least(start + size, self.size), self.lanes) as at:
            target.store(self._bytes(left.vector(at, self.lanes), right.vector(at, self.lanes)), at)

    def _bytes(self, left: MlirValue, right: MlirValue) -> MlirValue:
        floats = mlir.VectorType.get([self.lanes], mlir.F32Type.get())
        first, second, offset = (
            filled(value, floats) for value in (self.form.first, self.form.second, self.form.offset)
        )
        a, b = (arith.sitofp(floats, widened(value)) for value in (left, right))
        found = rounded(math.fma(a, first, math.fma(b, second, offset)))
        return signed_bytes(found, self.form.low, self.form.high, self.lanes)
