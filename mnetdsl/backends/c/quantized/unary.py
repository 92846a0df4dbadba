"""Unary functions of stored integers by tables, and clamps.

Functions of 8 bits rarely come here: the pass `lower-unary` has made lookups of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.lookup import choose_lookup, emit_lookup
from mnetdsl.backends.c.quantized.quantize import choose_rescaling, emit_rescaling
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.unary import Clamp, UnaryOp
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.clamps import UPPER, activation_range, clamp_range
from mnetdsl.numerics.requantization import quantize_multiplier
from mnetdsl.numerics.scales import ratio_single
from mnetdsl.numerics.tables import unary_table
from mnetdsl.numerics.wide_tables import FUNCTIONS, wide_table


def choose(op: UnaryOp) -> Choice:
    if op.opcode in UPPER:
        return choose_rescaling(op.opcode, op.input, op.result)
    return choose_lookup(op.opcode, op.input, op.result)


def emit(op: UnaryOp, emitter: Emitter) -> Sequence[Call]:
    source, result = grid(op.input.type), grid(op.type)
    if op.opcode in UPPER:
        return _clamped(op, emitter, activation_range(result, op.opcode))
    wide = op.input.type.element is ElementType.I16
    table = wide_table(FUNCTIONS[op.opcode], source, result) if wide else unary_table(op.opcode, source, result)
    return emit_lookup(op.input, op.result, emitter.add(f"{op.name}.table", table), 1, emitter)


def choose_clamp(op: Clamp) -> Choice:
    return choose_rescaling(f"clamp {op.low:g} to {op.high:g}", op.input, op.result)


def emit_clamp(op: Clamp, emitter: Emitter) -> Sequence[Call]:
    return _clamped(op, emitter, clamp_range(grid(op.type), op.low, op.high))


def _clamped(op: UnaryOp | Clamp, emitter: Emitter, bounds: tuple[int, int]) -> Sequence[Call]:
    """Requantization by the quotient of the scales in float32, and bounds of its own."""
    source, result = grid(op.input.type), grid(op.type)
    factor = quantize_multiplier(ratio_single(source, result))
    return emit_rescaling(op.input, op.result, (source.zero_point, result.zero_point, *factor, *bounds), emitter)


RULE: Rule[UnaryOp] = Rule(choose, emit)
CLAMP_RULE: Rule[Clamp] = Rule(choose_clamp, emit_clamp)
