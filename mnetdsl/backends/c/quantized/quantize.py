"""Conversions between real numbers and stored integers, and from stored integers to others."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.literals import float_literal
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import limits, numbers, requantize_numbers, variant
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.quantize import Dequantize, Quantize, Requantize
from mnetdsl.plan.tasks import Clearance, Mode


def _choice(title: str, source: Value, result: Value, function: str = "") -> Choice:
    """Element by element, first to last: a result of the same width or a narrower one may take the input's place."""
    narrower = result.type.element.byte_width <= source.type.element.byte_width
    clearance = Clearance(source.type.byte_size, 0 if narrower else result.type.byte_size, narrower)
    return Choice(
        title=title,
        sources=("quantized", "quantized_conversion"),
        functions=(variant(function or title, source, result),),
        reads=(source,),
        modes=(Mode("forward", (clearance,)),),
    )


def choose_quantize(op: Quantize) -> Choice:
    return _choice("quantize", op.input, op.result)


def emit_quantize(op: Quantize, emitter: Emitter) -> Sequence[Call]:
    scale, zero_point = numbers(op.type)
    low, high = limits(op.type.element)
    values = (float_literal(scale), str(zero_point), str(low), str(high), str(op.type.elements))
    return (Call(emitter.choice.functions[0], (emitter.address(op.input), emitter.address(op.result), *values)),)


def choose_dequantize(op: Dequantize) -> Choice:
    return _choice("dequantize", op.input, op.result)


def emit_dequantize(op: Dequantize, emitter: Emitter) -> Sequence[Call]:
    scale, zero_point = numbers(op.input.type)
    values = (float_literal(scale), str(zero_point), str(op.type.elements))
    return (Call(emitter.choice.functions[0], (emitter.address(op.input), emitter.address(op.result), *values)),)


def choose_requantize(op: Requantize) -> Choice:
    return _choice("requantize", op.input, op.result)


def emit_requantize(op: Requantize, emitter: Emitter) -> Sequence[Call]:
    return emit_rescaling(op.input, op.result, requantize_numbers(op.input.type, op.type), emitter)


def choose_rescaling(title: str, source: Value, result: Value) -> Choice:
    """`requantize` under another name: what clamps differs in its numbers only."""
    return _choice(title, source, result, "requantize")


def emit_rescaling(source: Value, result: Value, numbers: Sequence[int], emitter: Emitter) -> Sequence[Call]:
    """`numbers`: zero points of input and result, multiplier, shift, lowest and highest result."""
    values = (*map(str, numbers), str(result.type.elements))
    return (Call(emitter.choice.functions[0], (emitter.address(source), emitter.address(result), *values)),)


QUANTIZE_RULE: Rule[Quantize] = Rule(choose_quantize, emit_quantize)
DEQUANTIZE_RULE: Rule[Dequantize] = Rule(choose_dequantize, emit_dequantize)
REQUANTIZE_RULE: Rule[Requantize] = Rule(choose_requantize, emit_requantize)
