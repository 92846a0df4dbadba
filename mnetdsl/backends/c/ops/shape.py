"""pad, concat, transpose and slice move elements; reshape is another view of the same bytes and needs no code."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mnetdsl.backends.c.choice import Choice, Rule, require_float
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.literals import float_literal
from mnetdsl.backends.c.ops.window import FLOAT, Window, backward, forward
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.shape import Concat, Pad, Slice, Transpose
from mnetdsl.ir.types import MAX_RANK, Shape
from mnetdsl.plan.tasks import Clearance, Mode, apart


def pad_window(op: Pad) -> Window:
    """Padding is a window of one pixel that may lie outside the map."""
    return Window(op.input.type.shape, op.type.shape, (1, 1), padding=op.padding)


def choose_pad(op: Pad) -> Choice:
    require_float(op, op.input)
    sweep = pad_window(op).sweep(tail=op.type.shape[3] * FLOAT)
    return Choice(
        title=f"pad {op.value:g}",
        sources=("sweep", "window", "shape"),
        functions=("pad",),
        reads=(op.input,),
        modes=(
            Mode("forward", (forward(sweep, op.input.type),)),
            Mode("backward", (backward(sweep, op.input.type, op.type),)),
        ),
    )


def emit_pad(op: Pad, emitter: Emitter) -> Sequence[Call]:
    pointers = (emitter.address(op.input), emitter.address(op.result))
    band = ("0", str(op.type.shape[1]))
    value = float_literal(op.value)
    return (Call("pad", (pad_window(op).table(emitter), *pointers, value, *band, emitter.direction)),)


def choose_concat(op: Concat) -> Choice:
    require_float(op, *op.inputs)
    reads = tuple(op.inputs)
    return Choice(f"concat {len(reads)}", ("shape",), ("concat",), reads, (apart(len(reads)),))


def emit_concat(op: Concat, emitter: Emitter) -> Sequence[Call]:
    """One call per input: `outer` runs of it, each `pitch` elements behind the one before in the output."""
    outer = prod(op.type.shape[: op.axis])
    pitch = op.type.elements // outer
    calls = []
    offset = 0
    for value in op.inputs:
        run = value.type.elements // outer
        target = emitter.address(op.result) + (f" + {offset}" if offset else "")
        calls.append(Call("concat", (emitter.address(value), target, str(outer), str(run), str(pitch))))
        offset += run
    return calls


def choose_transpose(op: Transpose) -> Choice:
    return Choice(f"transpose {_sizes(op.order)}", ("shape",), (_pick_function(op),), (op.input,), (apart(1),))


def emit_transpose(op: Transpose, emitter: Emitter) -> Sequence[Call]:
    steps = _steps(op.input.type.shape)
    return _pick(emitter, op, 0, [(op.input.type.shape[1 + axis], steps[1 + axis]) for axis in op.order])


def choose_slice(op: Slice) -> Choice:
    """An element moves towards the front or stays, so the output may lie anywhere at or below the input."""
    mode = Mode("forward", (Clearance(above=op.input.type.byte_size, below=0, same=True),))
    return Choice(f"slice from {_sizes(op.begin)}", ("shape",), (_pick_function(op),), (op.input,), (mode,))


def emit_slice(op: Slice, emitter: Emitter) -> Sequence[Call]:
    steps = _steps(op.input.type.shape)[1:]
    first = sum(begin * step for begin, step in zip(op.begin, steps, strict=True))
    return _pick(emitter, op, first, list(zip(op.size, steps, strict=True)))


def _pick_function(op: Transpose | Slice) -> str:
    """Elements are moved whatever they are; the kernel goes by their width."""
    element = op.type.element
    return "pick" if element.is_float else f"pick_{element.byte_width}"


def _pick(emitter: Emitter, op: Transpose | Slice, first: int, loops: Sequence[tuple[int, int]]) -> Sequence[Call]:
    walk = emitter.shape("walk", *walk_table(loops))
    source = emitter.address(op.input) + (f" + {first}" if first else "")
    return (Call(emitter.choice.functions[0], (walk, source, emitter.address(op.result))),)


def walk_table(loops: Sequence[tuple[int, int]]) -> tuple[str, str]:
    """C text of the sizes and steps of a walk's seven loops; neighbours that visit a row in order are one loop."""
    joined: list[tuple[int, int]] = []
    for size, step in loops:
        if size == 1:
            continue
        if joined and joined[-1][1] == size * step:
            joined[-1] = (joined[-1][0] * size, step)
        else:
            joined.append((size, step))
    joined = [(1, 0)] * (MAX_RANK - 1 - len(joined)) + joined
    sizes, steps = ("{" + ", ".join(str(loop[part]) for loop in joined) + "}" for part in (0, 1))
    return sizes, steps


def _steps(shape: Shape) -> list[int]:
    """How many elements lie between neighbours along each axis."""
    return [prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _sizes(values: Sequence[int]) -> str:
    return "x".join(map(str, values))


PAD_RULE: Rule[Pad] = Rule(choose_pad, emit_pad)
CONCAT_RULE: Rule[Concat] = Rule(choose_concat, emit_concat)
TRANSPOSE_RULE: Rule[Transpose] = Rule(choose_transpose, emit_transpose)
SLICE_RULE: Rule[Slice] = Rule(choose_slice, emit_slice)
