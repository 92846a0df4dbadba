"""Layers with a filter for targets of scalar invocations (Vulkan), on stored integers.

What IREE 3.13 makes of linalg's own convolutions and products there is wrong on some drivers, and some take minutes to
compile it. These are maps over the outputs, without a dimension to reduce: each invocation computes its output in a
plain loop, on 32-bit integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, flow, linalg, tensor

from mnetdsl.backends.iree.integers import NARROW, constant_of, i32
from mnetdsl.backends.iree.kernels.language import Index, Position, accumulate, as_value
from mnetdsl.backends.iree.quantized.layer import Numbers
from mnetdsl.backends.iree.quantized.levels import BYTES, byte_of, saturated, widened
from mnetdsl.backends.iree.quantized.quantize import emit_dequantize, emit_quantize
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import (
    Indexed,
    MlirValue,
    element_type,
    elementwise,
    number,
    per_channel,
    reshaped,
    unfused,
)
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.types import ElementType, Shape
from mnetdsl.numerics.clamps import activation_range


@dataclass(frozen=True)
class Looped:
    """A layer as loops over a window [KH, KW] and, but for `depthwise`, over the depth; a dense layer is one pixel.

    source [H, W, I], weights [O, KH, KW, I], of words of four depths where `words`, or [KH, KW, O]; result [OH, OW, O].
    """

    numbers: Numbers
    source: Shape
    result: Shape
    kernel: tuple[int, ...]
    strides: tuple[int, ...] = (1, 1)
    dilations: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    depthwise: bool = False
    words: bool = False

    @property
    def stored(self) -> ElementType:
        return self.numbers.op.input.type.element

    def arranged(self) -> np.ndarray:
        """The weights, flat."""
        filter = self.numbers.filter
        narrow = np.int8 if fits_byte(filter) else np.int16
        if self.depthwise:
            return filter.reshape(-1).astype(narrow)
        rows = np.ascontiguousarray(filter.reshape(-1, self.result[2]).T).astype(narrow)
        return rows.reshape(-1).view(np.int32) if self.words else rows.reshape(-1)

    def sum(self, source: MlirValue, weights: MlirValue, bias: MlirValue) -> MlirValue:
        """Inside of the map over the outputs: the sum of this one."""
        y, x, channel = (Index(linalg.IndexOp(axis).result) for axis in range(3))
        height, width, depth = self.source
        depth = depth // BYTES if self.words else depth
        taps = self.kernel[0] * self.kernel[1]

        def row(ky: Position, sums: list[MlirValue]) -> list[MlirValue]:
            v, above = self._place(y * self.strides[0], ky, 0, height)

            def column(kx: Position, sums: list[MlirValue]) -> list[MlirValue]:
                u, beside = self._place(x * self.strides[1], kx, 1, width)
                inside = _both(above, beside)
                start = (v * width + u) * depth
                tap = ky * self.kernel[1] + kx
                if self.depthwise:
                    value = self._read(source, start + channel // (self.result[2] // depth), inside)
                    return [self._add(sums[0], value, _at(weights, tap * self.result[2] + channel))]

                def step(k: Position, sums: list[MlirValue]) -> list[MlirValue]:
                    value = self._read(source, start + k, inside)
                    return [self._add(sums[0], value, _at(weights, (channel * taps + tap) * depth + k))]

                return accumulate(0, depth, sums, step)

            return accumulate(0, self.kernel[1], sums, column)

        (total,) = accumulate(0, self.kernel[0], [bias], row)
        return total

    def _place(self, first: Index, k: Position, axis: int, size: int) -> tuple[Position, MlirValue | None]:
        """The map's row or column under the window's position `k`, brought inside, and whether it was: None for yes."""
        before, after = self.padding[2 * axis : 2 * axis + 2]
        at = first + k * self.dilations[axis] - before
        if not before and not after:
            return at, None
        # A place in front of the map is huge as a number without sign.
        inside = arith.cmpi(arith.CmpIPredicate.ult, as_value(at), as_value(size))
        return Index(arith.select(inside, as_value(at), as_value(0))), inside

    def _read(self, source: MlirValue, at: Position, inside: MlirValue | None) -> MlirValue:
        """A stored number, or a word of four, as i32; the border outside."""
        border = self.numbers.border
        if self.words:
            value, border = _at(source, at), int(np.full(4, border & 0xFF, np.uint8).view(np.int32)[0])
        else:
            value = widened(_at(source, at), self.stored)
        return value if inside is None else arith.select(inside, value, number(border, i32()))

    def _add(self, sum: MlirValue, value: MlirValue, weight: MlirValue) -> MlirValue:
        if not self.words:
            return arith.addi(sum, arith.muli(value, widened(weight, ElementType.I8)))
        signed = self.stored is not ElementType.U8
        for place in range(BYTES):
            sum = arith.addi(sum, arith.muli(byte_of(value, place, signed), byte_of(weight, place, True)))
        return sum


def emit_filter(scope: Scope, op: Op) -> MlirValue:
    """A convolution, depthwise convolution or dense layer."""
    looped = _looped(scope, op)
    numbers = looped.numbers
    source = unfused(reshaped(scope.value(op.operands[0]), (int(np.prod(looped.source)),)))
    if looped.words:
        words = mlir.RankedTensorType.get([int(np.prod(looped.source)) // BYTES], i32())
        source = flow.TensorBitCastOp(words, source, [], []).result
    weights = scope.prepared(f"{op.name}.weights", looped.arranged())
    arrays = [numbers.bias, *NARROW.operands(*numbers.factors)]
    uniform = [bool((array == array[0]).all()) for array in arrays]
    varied = [
        per_channel(scope.made(f"{op.name}.finish{place}", np.ascontiguousarray(array)), 3)
        for place, (array, alike) in enumerate(zip(arrays, uniform, strict=True))
        if not alike
    ]
    bounds = activation_range(numbers.result, numbers.op.activation)

    def body(*given: MlirValue) -> MlirValue:
        rest = iter(given)
        bias, *operands = [
            constant_of(array) if alike else next(rest) for array, alike in zip(arrays, uniform, strict=True)
        ]
        found = NARROW.scale(looped.sum(source, weights, bias), operands)
        return saturated(found, numbers.result.zero_point, bounds, op.type.element)

    inputs: list[Indexed] = varied
    result = elementwise(looped.result, inputs, body, element_type(op.type.element))
    return unfused(reshaped(result, op.type.shape))


def emit_stored(scope: Scope, op: Op) -> MlirValue:
    """quantize, its input in memory: what IREE 3.13 makes of a product of real numbers and of what stores it, as one
    loop, is wrong on lavapipe."""
    scope.bind(op.operands[0], unfused(scope.value(op.operands[0])))
    return emit_quantize(scope, op)


def emit_real(scope: Scope, op: Op) -> MlirValue:
    """dequantize, its result in memory for the same reason."""
    return unfused(emit_dequantize(scope, op))


def _looped(scope: Scope, op: Op) -> Looped:
    assert isinstance(op, Conv2d | DepthwiseConv2d | Dense)
    numbers = Numbers(scope, op, unsigned_products=True)
    if isinstance(op, Dense):
        source: Shape = (1, 1, op.input.type.shape[1])
        return Looped(numbers, source, (1, 1, op.type.shape[1]), (1, 1), words=_words(numbers, source))
    source, result, kernel = op.input.type.shape[1:], op.type.shape[1:], op.filter.type.shape[:2]
    depthwise = isinstance(op, DepthwiseConv2d)
    return Looped(
        numbers,
        source,
        result,
        kernel,
        op.strides,
        op.dilations,
        op.padding,
        depthwise,
        not depthwise and _words(numbers, source),
    )


def _words(numbers: Numbers, source: Shape) -> bool:
    return source[2] % BYTES == 0 and fits_byte(numbers.filter) and numbers.op.input.type.element.byte_width == 1


def fits_byte(filter: np.ndarray) -> bool:
    return bool(filter.min(initial=0) >= -128 and filter.max(initial=0) <= 127)


def _at(values: MlirValue, at: Position) -> MlirValue:
    return tensor.ExtractOp(values, [as_value(at)]).result


def _both(left: MlirValue | None, right: MlirValue | None) -> MlirValue | None:
    if left is None or right is None:
        return right if left is None else left
    return arith.andi(left, right)
