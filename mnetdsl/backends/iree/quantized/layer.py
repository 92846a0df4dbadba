"""What layers with a filter share: operands of exact products, and the way of their sums to stored numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith
from numpy.typing import NDArray

from mnetdsl.backends.iree.integers import constant_of, i32, i64
from mnetdsl.backends.iree.quantized.levels import saturated, signed_map
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import Indexed, MlirValue, element_type, elementwise, per_channel, shape_of, whole
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.interpreter.quantized.layer import Weighted, check_sums
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.resize import Resize
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.bounds import ACCUMULATOR, WIDE_ACCUMULATOR, layer_bounds
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.requantization import quantize_multipliers
from mnetdsl.numerics.scales import layer_factors

Array = NDArray[Any]


class Numbers:
    """The constant numbers of a layer. Its products are (q - z)(w - z_w); sums begin with `bias`, from which z times
    the weights is taken, so that products of q alone remain. Padding is `border`, the stored zero.

    Raises MN0722 where a sum may leave its accumulator, MN1110 where an operand is computed, MN1113 where the target
    has no integers of the sums' width.
    """

    def __init__(self, scope: Scope, op: Weighted, *, unsigned_products: bool = False) -> None:
        """`unsigned_products`: u8 numbers are multiplied as they are, not less 128."""
        self.op, self._scope = op, scope
        require_wide(scope, op)
        self.source, self.result = grid(op.input.type), grid(op.type)
        self.wide = self.source.dtype == "int16"
        channels = op.type.shape[-1]
        stored = self._constant(op.filter)
        bias = None if op.bias is None else self._constant(op.bias)
        self.filter_zero_point = 0 if op.filter_zero_point is None else int(self._constant(op.filter_zero_point)[0])
        taps = stored.reshape(-1, channels)
        bounds = layer_bounds(taps, self.filter_zero_point, self.source)
        check_sums(op, bounds, bias, WIDE_ACCUMULATOR if self.wide else ACCUMULATOR)
        offset = np.zeros(channels, np.int64) if bias is None else bias.astype(np.int64)
        self.reach: tuple[Array, Array] = bounds.low + offset, bounds.high + offset
        """[O] each: smallest and largest sum that any input gives."""
        self.filter: Array = stored.astype(np.int16) - np.int16(self.filter_zero_point)
        self.unsigned = self.source.dtype == "uint8"
        self.border = self.source.zero_point - (128 if self.unsigned and not unsigned_products else 0)
        self.plain_bias = offset
        columns = self.filter.reshape(-1, channels).astype(np.int64).sum(axis=0)
        # Sums wrap around on their way; what is proven above is where they end.
        self.bias: Array = (offset - self.border * columns).astype(np.int64 if self.wide else np.int32)
        self.factors = self._factors(channels)

    def _factors(self, channels: int) -> tuple[Array, Array]:
        scales = self._constant(self.op.filter_scale).reshape(-1)
        factors = layer_factors(self.source, scales, self.result, dense=isinstance(self.op, Dense))
        multipliers, shifts = quantize_multipliers(factors)
        return np.broadcast_to(multipliers, (channels,)), np.broadcast_to(shifts, (channels,))

    def _constant(self, value: Value | None) -> Array:
        found = self._scope.stored(value)
        if found is None:
            raise MnetError(
                error(
                    "MN1110",
                    f"`{self.op.name or self.op.opcode}`: quantized layers need constant filters, scales and biases",
                    location=str(self.op.location),
                    help="compute it before compiling, or keep this layer in float",
                )
            )
        return found

    @property
    def accumulator(self) -> Any:
        """The element type of sums."""
        return i64() if self.wide else i32()

    def products_of(self, value: MlirValue) -> MlirValue:
        """The input map as linalg's signed products take it."""
        return signed_map(value) if self.unsigned else value

    def taps(self, shape: Sequence[int] | None = None) -> MlirValue:
        """The filter without its zero point, in another shape where given; 16 bits where 8 do not hold it."""
        fits = self.filter.min(initial=0) >= -128 and self.filter.max(initial=0) <= 127
        array = self.filter.astype(np.int8 if fits else np.int16)
        return self._scope.made(f"{self.op.name}.taps", array if shape is None else array.reshape(shape))

    def finished(self, sums: MlirValue) -> MlirValue:
        """Sums [..., O] as stored numbers."""
        op, integers = self.op, self._scope.integers
        multipliers, shifts = self.factors
        arrays = [self.bias, *(wide_operands if self.wide else integers.operands)(multipliers, shifts)]
        uniform = [bool((array == array[0]).all()) for array in arrays]
        varied = [
            self._scope.made(f"{op.name}.finish{place}", array)
            for place, (array, alike) in enumerate(zip(arrays, uniform, strict=True))
            if not alike
        ]
        bounds = activation_range(self.result, op.activation)
        shape = shape_of(sums)

        def body(x: MlirValue, *given: MlirValue) -> MlirValue:
            rest = iter(given)
            bias, *operands = [
                constant_of(array) if alike else next(rest) for array, alike in zip(arrays, uniform, strict=True)
            ]
            total = arith.addi(x, bias)
            found = scale_wide(total, operands) if self.wide else integers.scale(total, operands)
            return saturated(found, self.result.zero_point, bounds, op.type.element)

        inputs: list[Indexed] = [whole(sums), *(per_channel(value, len(shape)) for value in varied)]
        return elementwise(shape, inputs, body, element_type(op.type.element))


def wide_operands(multipliers: Array, shifts: Array) -> list[Array]:
    """What `scale_wide` takes."""
    wide = multipliers.astype(np.int64)
    reduced = np.where(wide < 0x7FFF0000, (wide + (1 << 15)) >> 16, 0x7FFF)
    total = 15 - shifts.astype(np.int64)
    return [reduced, np.int64(1) << (total - 1), total]


def scale_wide(x: MlirValue, operands: Sequence[MlirValue]) -> MlirValue:
    """`multiply_wide` of an i64 scalar, as i32."""
    reduced, half, total = operands
    sum = arith.addi(arith.muli(x, reduced), half)
    return arith.trunci(mlir.IntegerType.get_signless(32), arith.shrsi(sum, total))


def require_wide(scope: Scope, op: Weighted | Resize) -> None:
    """Raises MN1113 where a layer's sums need 64 bits and the target has 32."""
    if op.input.type.element is ElementType.I16 and not scope.integers.wide:
        raise MnetError(
            error(
                "MN1113",
                f"`{op.name or op.opcode}` sums products of 16-bit activations in 64 bits, which the target lacks",
                location=str(op.location),
                help="give its input 8 bits in the table `quantization`, or compile for `iree-cpu`",
            )
        )
