"""bfloat16: the upper half of a float32, in which maps and weights are stored while sums stay float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, llvm
from numpy.typing import NDArray

MlirValue = Any

NAME = "bf16"
BITS = "i16"
"""As kernels see it in memory."""


def bits_of(array: NDArray[np.float32]) -> NDArray[np.int16]:
    """The nearest bfloat16 of each finite value, ties to even, as bits."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype(np.uint16).view(np.int16)


def widened(bits: MlirValue) -> MlirValue:
    """Bits, one or a vector, as float32: no rounding."""
    words, floats = (_like(bits.type, element) for element in (_i32(), mlir.F32Type.get()))
    shifted = arith.shli(arith.extui(words, bits), _splat(16, words))
    return arith.bitcast(floats, shifted)


def narrowed(values: MlirValue) -> MlirValue:
    """Bits of 16 float32 values, rounded to nearest, ties to even."""
    (lanes,) = values.type.shape
    bfloats = mlir.VectorType.get([lanes], mlir.BF16Type.get())
    rounded = intrinsic("llvm.x86.avx512bf16.cvtneps2bf16.512", [values], bfloats)
    return arith.bitcast(mlir.VectorType.get([lanes], mlir.Type.parse(BITS)), rounded)


def pair_product(sum: MlirValue, left: MlirValue, right: MlirValue) -> MlirValue:
    """16 sums, each plus left[2i] * right[2i] + left[2i + 1] * right[2i + 1], of the bits of 32 values each."""
    bfloats = mlir.VectorType.get([32], mlir.BF16Type.get())
    operands = [sum, arith.bitcast(bfloats, left), arith.bitcast(bfloats, right)]
    return intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", operands, sum.type)


def intrinsic(name: str, operands: list[MlirValue], result: Any = None) -> MlirValue:
    """Calls LLVM's intrinsic `name`; the value, where `result` gives its type."""
    called = llvm.CallIntrinsicOp(result, name, operands, [], [])
    return None if result is None else called.results


def _i32() -> Any:
    return mlir.IntegerType.get_signless(32)


def _like(type: Any, element: Any) -> Any:
    return mlir.VectorType.get(type.shape, element) if isinstance(type, mlir.VectorType) else element


def _splat(value: int, type: Any) -> MlirValue:
    if isinstance(type, mlir.VectorType):
        number = mlir.IntegerAttr.get(type.element_type, value)
        return arith.constant(type, mlir.DenseElementsAttr.get_splat(type, number))
    return arith.constant(type, value)
