"""softmax of 8-bit numbers, in 32-bit fixed point."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import limits, requantize_numbers, variant
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.ir.types import Quantization, Storage
from mnetdsl.numerics.softmax import softmax_result, softmax_table
from mnetdsl.plan.tasks import Clearance, Mode


def choose(op: Softmax) -> Choice:
    """A row is read whole before the first of its results is written; row by row, first to last."""
    functions = [variant("softmax", op.input, op.result)]
    sources = ["quantized", "quantized_softmax"]
    if grid(op.type) != softmax_result(op.type.element.dtype):
        functions.append(variant("requantize", op.result, op.result))
        sources.append("quantized_conversion")
    return Choice(
        title="softmax",
        sources=tuple(sources),
        functions=tuple(functions),
        reads=(op.input,),
        modes=(Mode("forward", (Clearance(above=op.input.type.byte_size, below=0, same=True),)),),
    )


def emit(op: Softmax, emitter: Emitter) -> Sequence[Call]:
    channels = op.type.shape[-1]
    table = emitter.add(f"{op.name}.exp", softmax_table(grid(op.input.type)))
    pointers = (emitter.address(op.input), emitter.address(op.result))
    rows = str(op.type.elements // channels)
    low, high = limits(op.type.element)
    first = Call(emitter.choice.functions[0], (*pointers, table, str(low), str(high), rows, str(channels)))
    computed = softmax_result(op.type.element.dtype)
    if computed == grid(op.type):
        return (first,)
    storage = Storage(op.type.element, Quantization.per_tensor(computed.scale, computed.zero_point))
    values = requantize_numbers(op.type.stored_as(storage), op.type)
    target = emitter.address(op.result)
    again = Call(variant("requantize", op.result, op.result), (target, target, *map(str, (*values, op.type.elements))))
    return (first, again)


RULE: Rule[Softmax] = Rule(choose, emit)
