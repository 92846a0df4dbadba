"""add, sub and the product of a map with a number for each channel, by arithmetic that is tried on all operands.

Two 8-bit operands have 65,536 pairs of values. A formula that gives the reference's result for each of them is exact,
whatever roundings the reference does on the way; where none of some nearby ones does, the portable kernel stays.

A sum is ((p * 256 x >> 16) + (q * 256 y >> 16) + c) >> shift, saturated: two SMLAWB and one SSAT. A product takes one
SMLABB for 256 (x - x_zero) (y - y_zero) plus an offset, and two instructions more than a layer's slope for the half of
negative numbers that goes down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import floor, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.elementwise import broadcast_groups
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import elementwise
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics import elementwise as reference
from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.scales import product_factor
from mnetdsl.plan.tasks import Clearance, Mode

Array = NDArray[Any]
_WORD = 1 << 31
_REMEMBERED = 64
"""Layers whose formulas are kept: rules are asked several times for one layer, and for each of its rows."""
_LARGEST_SHIFT = 22
_NEAR = sorted(range(-16, 17), key=abs)
_SOURCES = ("dsp/job", "dsp/elementwise")
_X = np.arange(-128, 128, dtype=np.int64)[:, None]
_Y = np.arange(-128, 128, dtype=np.int64)[None, :]


@dataclass(frozen=True)
class Sum:
    """Factors p and q, what is added, and the shift."""

    left: int
    right: int
    addend: int
    shift: int


@dataclass(frozen=True)
class Product:
    """((v * slope >> 32) - (v < 0) + addend) >> shift of v = 256 (x - x_zero) (y - y_zero) + offset; the sign is that
    of the product with the slope."""

    offset: int
    slope: int
    addend: int
    shift: int


def _stored_in_8_bits(*values: Value) -> bool:
    return all(value.type.element is ElementType.I8 for value in values)


def fits_sum(op: Elementwise) -> bool:
    """Both operands of the result's shape, stored in 8 bits, and a formula for all their values."""
    alike = op.left.type.shape == op.right.type.shape == op.type.shape
    return alike and _stored_in_8_bits(op.left, op.right, op.result) and find_sum(op) is not None


def fits_product(op: Elementwise) -> bool:
    """A map times a number for each of its channels, which are a multiple of four."""
    left, right = op.left.type.shape, op.right.type.shape
    channels = left[-1]
    groups = [(left_has, right_has) for _, left_has, right_has in broadcast_groups(left, right)]
    by_channel = groups == [(True, False), (True, True)] and channels == right[-1]
    sizes = by_channel and channels % 4 == 0 and channels < 4096
    return sizes and _stored_in_8_bits(op.left, op.right, op.result) and find_product(op) is not None


def find_sum(op: Elementwise) -> Sum | None:
    """A formula for all pairs of operands; None where none is near."""
    return _sum(op.opcode, grid(op.left.type), grid(op.right.type), grid(op.type), op.activation)


def find_product(op: Elementwise) -> Product | None:
    """As `find_sum`."""
    return _product(grid(op.left.type), grid(op.right.type), grid(op.type), op.activation)


@lru_cache(maxsize=_REMEMBERED)
def _sum(opcode: str, left: Grid, right: Grid, result: Grid, activation: str) -> Sum | None:
    sign = -1 if opcode == "sub" else 1
    factors = left.scale / result.scale, sign * right.scale / result.scale
    middle = result.zero_point - factors[0] * left.zero_point - factors[1] * right.zero_point
    largest = 128 * (abs(factors[0]) + abs(factors[1])) + abs(middle) + 1
    shift = min(_LARGEST_SHIFT, floor(31 - log2(largest)), floor(22.99 - log2(max(map(abs, factors)))))
    if shift < 1:
        return None
    expected = _expected(opcode, left, right, result, activation)
    first, second = (round(factor * (1 << (shift + 8))) for factor in factors)
    products = (first * 256 * _X >> 16) + (second * 256 * _Y >> 16)
    for near in _NEAR:
        addend = round((middle + 0.5) * (1 << shift)) + near
        found = products + addend
        fitting = max(np.abs(found).max(), np.abs((first * 256 * _X >> 16) + addend).max()) < _WORD
        if fitting and np.array_equal(np.clip(found >> shift, -128, 127), expected):
            return Sum(first, second, addend, shift)
    return None


@lru_cache(maxsize=_REMEMBERED)
def _product(left: Grid, right: Grid, result: Grid, activation: str) -> Product | None:
    multiplier, shift = product_factor(left, right, result)
    right_shift = -shift
    if not 1 <= right_shift <= 21 or multiplier == 0:
        return None
    expected = _expected("mul", left, right, result, activation)
    products = 256 * (_X - left.zero_point) * (_Y - right.zero_point)
    addend = (2 * result.zero_point + 1) << (right_shift - 1)
    for slope in (multiplier + 64 >> 7, multiplier >> 7, (multiplier >> 7) + 1):
        for near in _NEAR:
            offset = round((1 << 31) / slope) + near
            high = (products + offset) * slope >> 32
            found = (high - (high < 0) + addend) >> right_shift
            if np.array_equal(np.clip(found, -128, 127), expected):
                return Product(offset, slope, addend, right_shift)
    return None


def _expected(opcode: str, left: Grid, right: Grid, result: Grid, activation: str) -> Array:
    """[256, 256]: the reference's results for all values of both operands."""
    compute = {"add": reference.add, "sub": reference.sub, "mul": reference.mul}[opcode]
    values = np.arange(-128, 128, dtype=np.int8)
    shape = (256, 256)
    x, y = (np.ascontiguousarray(np.broadcast_to(side, shape)) for side in (values[:, None], values[None, :]))
    return compute(x, y, (left, right), result, activation)


def choose_sum(op: Elementwise) -> Choice:
    """Four elements are read before they are written, which is safe wherever one by one is."""
    return replace(elementwise.choose(op), sources=_SOURCES, functions=("dsp_sum",))


def emit_sum(op: Elementwise, emitter: Emitter) -> Sequence[Call]:
    found = find_sum(op)
    assert found is not None, "the rule was chosen for it"
    numbers = emitter.shape("dsp_sum_numbers", found.left, found.right, found.addend)
    kernel = emitter.kernel("dsp/sum_kernel", f"dsp_sum_{found.shift}", shift=found.shift)
    operands = (emitter.address(op.left), emitter.address(op.right), emitter.address(op.result))
    return (Call("dsp_sum", (kernel, numbers, *operands, str(op.type.elements), str(found.shift))),)


def choose_product(op: Elementwise) -> Choice:
    """Four channels of all pixels at a time: in place of the map or apart from it."""
    mode = Mode("forward", (Clearance(op.type.byte_size, op.type.byte_size, same=True), None))
    return replace(elementwise.choose(op), sources=_SOURCES, functions=("dsp_product",), modes=(mode,))


def emit_product(op: Elementwise, emitter: Emitter) -> Sequence[Call]:
    found = find_product(op)
    assert found is not None, "the rule was chosen for it"
    channels = op.type.shape[-1]
    zeros = (grid(op.left.type).zero_point, grid(op.right.type).zero_point)
    numbers = emitter.shape("dsp_product_numbers", *zeros, found.offset, found.slope)
    name = f"dsp_product_{channels}_{found.shift}_{found.addend % (1 << 32):x}"
    values = {"channels": channels, "shift": found.shift, "addend": found.addend}
    kernel = emitter.kernel("dsp/product_kernel", name, **values)
    operands = (emitter.address(op.left), emitter.address(op.right), emitter.address(op.result))
    sizes = (str(op.type.elements), str(channels))
    return (Call("dsp_product", (kernel, numbers, *operands, *sizes)),)


SUM_RULE: Rule[Elementwise] = Rule(choose_sum, emit_sum)
PRODUCT_RULE: Rule[Elementwise] = Rule(choose_product, emit_product)
