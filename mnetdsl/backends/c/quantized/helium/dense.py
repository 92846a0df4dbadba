"""dense on Helium, and pointwise convolutions of one pixel: the pointwise kernel, for any number of outputs.

The kernel writes words of four outputs. Where the last word is not full, they are made in scratch memory and copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.conv2d import is_pointwise
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import conv2d, dense
from mnetdsl.backends.c.quantized.helium import pointwise
from mnetdsl.backends.c.quantized.helium.finish import stored_in_bytes, taps_and_finish
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.tasks import Mode, Scratch

OnePixel = Dense | Conv2d


def fits(op: OnePixel) -> bool:
    one = isinstance(op, Dense) or (is_pointwise(op) and op.type.elements == op.type.shape[3])
    return one and stored_in_bytes(op) and op.input.type.shape[-1] % pointwise.FOUR == 0


def choose(op: OnePixel) -> Choice:
    """Outputs are written while inputs are still read."""
    portable = conv2d.choose(op) if isinstance(op, Conv2d) else dense.choose(op)
    outputs = op.type.shape[-1]
    scratch = Scratch(pointwise.filled(outputs), 1) if outputs % pointwise.FOUR else None
    sources = (*pointwise.SOURCES, "helium/copy") if scratch else pointwise.SOURCES
    return replace(portable, sources=sources, modes=(Mode("forward", (None,), scratch),))


def emit(op: OnePixel, emitter: Emitter) -> Sequence[Call]:
    taps, finish = taps_and_finish(op, emitter)
    inputs, outputs = op.input.type.shape[-1], op.type.shape[-1]
    result = emitter.address(op.result)
    target = result if emitter.step.scratch is None else emitter.scratch(ElementType.I8)
    stream = emitter.add(f"{op.name}.stream", pointwise.pack(taps, finish), "Helium")
    groups = pointwise.Groups(1, 1, 3)
    sizes = pointwise.shape(groups, inputs, pointwise.filled(outputs), finish, emitter)
    function = pointwise.kernel(inputs, groups.lanes, pointwise.filled(outputs), finish, emitter)
    calls = (Call(function, (sizes, emitter.address(op.input), target, stream)),)
    return calls if target == result else (*calls, Call("helium_copy", (result, target, str(outputs))))


RULE: Rule[OnePixel] = Rule(choose, emit)
