"""add, sub and mul on Helium, four numbers at a time; the right operand may be one number a channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import elementwise
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.clamps import activation_range
from mnetdsl.numerics.scales import SUM_HEADROOM, product_factor, sum_factors

_HEADROOM = SUM_HEADROOM["int8"]


@dataclass(frozen=True)
class _Factors:
    """Multiplier and shift of the operands and of the result; those of operands of `mul` are not used."""

    left: tuple[int, int]
    right: tuple[int, int]
    result: tuple[int, int]


def _factors(op: Elementwise) -> _Factors:
    left, right, result = grid(op.left.type), grid(op.right.type), grid(op.type)
    if op.opcode == "mul":
        return _Factors((0, 0), (0, 0), product_factor(left, right, result))
    factors = sum_factors(left, right, result)
    return _Factors(factors.left, factors.right, factors.result)


def fits(op: Elementwise) -> bool:
    types = (op.left.type, op.right.type, op.type)
    if any(type.element is not ElementType.I8 for type in types) or op.left.type.shape != op.type.shape:
        return False
    alike = op.right.type.shape in (op.type.shape, (*[1] * (op.type.rank - 1), op.type.shape[-1]))
    factors = _factors(op)
    return alike and all(shift <= 0 for _, shift in (factors.left, factors.right, factors.result))


def choose(op: Elementwise) -> Choice:
    return replace(elementwise.choose(op), sources=("quantized", "helium/common", "helium/two_operands"))


def emit(op: Elementwise, emitter: Emitter) -> Sequence[Call]:
    factors, result = _factors(op), grid(op.type)
    count = op.right.type.elements
    numbers = emitter.shape(
        "two_operands",
        count,
        op.type.elements // count,
        *_scaling(grid(op.left.type).zero_point, factors.left),
        *_scaling(grid(op.right.type).zero_point, factors.right),
        *_scaling(result.zero_point, factors.result),
        *activation_range(result, op.activation),
    )
    function = f"helium_{op.opcode}"
    emitter.kernel("helium/elementwise_kernel", function, opcode=op.opcode, headroom=_HEADROOM)
    pointers = (emitter.address(op.left), emitter.address(op.right), emitter.address(op.result))
    return (Call(function, (numbers, *pointers)),)


def _scaling(zero_point: int, factor: tuple[int, int]) -> tuple[int, int, int, int]:
    multiplier, shift = factor
    return zero_point, multiplier, shift, int(shift < 0)


RULE: Rule[Elementwise] = Rule(choose, emit)
