"""pad and concat move stored integers; a border is the zero point."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.window import Window, backward, forward
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import requantize_numbers, stored_number, width
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.shape import Concat, Pad
from mnetdsl.numerics.concat import joined
from mnetdsl.plan.tasks import Mode, apart


def pad_window(op: Pad) -> Window:
    """Padding is a window of one pixel that may lie outside the map."""
    bytes = width(op.result)
    return Window(op.input.type.shape, op.type.shape, (1, 1), padding=op.padding, input_width=bytes, output_width=bytes)


def choose_pad(op: Pad) -> Choice:
    sweep = pad_window(op).sweep(tail=op.type.shape[3] * width(op.result))
    return Choice(
        title=f"pad {op.value:g}",
        sources=("sweep", "window", "quantized_shape"),
        functions=(f"border_{width(op.result)}",),
        reads=(op.input,),
        modes=(
            Mode("forward", (forward(sweep, op.input.type),)),
            Mode("backward", (backward(sweep, op.input.type, op.type),)),
        ),
    )


def emit_pad(op: Pad, emitter: Emitter) -> Sequence[Call]:
    pointers = (emitter.address(op.input), emitter.address(op.result))
    band = ("0", str(op.type.shape[1]))
    value = str(stored_number(op.type, op.value))
    arguments = (pad_window(op).table(emitter), *pointers, value, *band, emitter.direction)
    return (Call(emitter.choice.functions[0], arguments),)


def choose_concat(op: Concat) -> Choice:
    """Operands of other numbers than the result are looked up, those of 16 bits requantized."""
    reads = tuple(op.inputs)
    functions = tuple(_copy_function(value, op) for value in reads)
    sources = ("quantized", "quantized_shape") if "join_wide" in functions else ("quantized_shape",)
    return Choice(f"concat {len(reads)}", sources, functions, reads, (apart(len(reads)),))


def _copy_function(value: Value, op: Concat) -> str:
    if value.type.storage == op.type.storage:
        return "move"
    return "join" if width(value) == 1 else "join_wide"


def emit_concat(op: Concat, emitter: Emitter) -> Sequence[Call]:
    """One call per input: `outer` runs of it, each `pitch` bytes behind the one before in the output."""
    outer = prod(op.type.shape[: op.axis])
    pitch = op.type.byte_size // outer
    calls = []
    offset = 0
    for number, (value, function) in enumerate(zip(op.inputs, emitter.choice.functions, strict=True)):
        run = value.type.byte_size // outer
        target = emitter.address(op.result) + (f" + {offset // width(op.result)}" if offset else "")
        numbers: tuple[str, ...] = ()
        if function == "join":
            numbers = (emitter.add(f"{op.name}.{number}.joined", join_table(value, op)),)
        elif function == "join_wide":
            numbers = tuple(map(str, requantize_numbers(value.type, op.type)[2:]))
        calls.append(Call(function, (emitter.address(value), target, *numbers, str(outer), str(run), str(pitch))))
        offset += run
    return calls


def join_table(value: Value, op: Concat) -> NDArray[np.uint8]:
    """[256]: each stored number of an operand, by its bits, as it stands in the result."""
    stored = np.arange(256, dtype=np.uint8).view(value.type.element.dtype)
    table: NDArray[np.uint8] = joined(stored, grid(value.type), grid(op.type)).view(np.uint8)
    return table


PAD_RULE: Rule[Pad] = Rule(choose_pad, emit_pad)
CONCAT_RULE: Rule[Concat] = Rule(choose_concat, emit_concat)
