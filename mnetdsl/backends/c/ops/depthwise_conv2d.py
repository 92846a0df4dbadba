"""depthwise_conv2d: pixel by pixel, or in place through a few lines of scratch memory.

Swept pixel by pixel, the output has to stay about (KH - 1) / 2 rows below the input. In place instead, the kernel
takes some channels at a time, copies each input row of them into a ring of lines before it can be overwritten, and
reads from there: a ring of one channel is enough, so the scratch memory is as small as (KH - 1) * dilation + 1 lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_constant, require_float
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.window import FLOAT, Window, backward, forward, window_of
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.plan.tasks import Clearance, Mode, Scratch


def ring_lines(window: Window) -> int:
    """Input rows that a window covers, from first to last."""
    return (window.kernel[0] - 1) * window.dilations[0] + 1


def fits_in_place(window: Window) -> bool:
    """Whether each output row only overwrites input rows that are in the ring, both starting at one address.

    Before output row y is written, the ring has taken in the rows up to the window's last; the output then ends at
    pixel (y + 1) * OW, which must not pass the first row not taken in yet.
    """
    rows, width = window.rows, window.columns.size
    for y in range(rows.positions):
        taken = min(max(y * rows.stride - rows.before + ring_lines(window), 0), rows.size)
        if taken < rows.size and (y + 1) * window.columns.positions > taken * width:
            return False
    return True


def choose(op: DepthwiseConv2d) -> Choice:
    require_constant(op, op.filter, op.bias)
    require_float(op, op.input)
    window = window_of(op)
    multiplier = op.filter.type.shape[3]
    return Choice(
        title=f"depthwise {window.kind}",
        sources=("sweep", "activation", "panel", "window", "depthwise_conv2d"),
        functions=("depthwise_multiplied" if multiplier > 1 else "depthwise_conv2d",),
        reads=(op.input,),
        modes=_modes(op, window, multiplier),
        macs=op.type.elements * window.kernel[0] * window.kernel[1],
        activation=op.activation,
    )


def _modes(op: DepthwiseConv2d, window: Window, multiplier: int) -> tuple[Mode, ...]:
    """A channel reads no other: of an output pixel, the channels of the last input channel follow its last read."""
    channels = op.input.type.shape[3]
    sweep = window.sweep(tail=channels * FLOAT)
    ahead = forward(sweep, op.input.type)
    modes = (
        Mode("forward", (ahead,)),
        Mode("backward", (backward(sweep, op.input.type, op.type),)),
    )
    unit = ring_lines(window) * window.input[2] * FLOAT
    if multiplier > 1 or ahead.below <= unit or not fits_in_place(window):
        return modes
    in_place = Clearance(above=op.input.type.byte_size, below=op.type.byte_size, same=True)
    return (*modes, Mode("lines", (in_place,), Scratch(unit, channels)))


def emit(op: DepthwiseConv2d, emitter: Emitter) -> Sequence[Call]:
    window = window_of(op)
    table = window.table(emitter)
    weights = emitter.table(op.filter)
    bias = emitter.optional_table(op.bias)
    scratch = emitter.step.scratch
    if scratch is not None:
        lines = (emitter.scratch(), str(ring_lines(window)), str(scratch.units))
        in_place = (table, emitter.address(op.result), *lines, weights, bias, str(op.type.shape[1]))
        return (Call("depthwise_in_place", (*in_place, emitter.activation)),)
    apart = (table, emitter.address(op.input), emitter.address(op.result), weights, bias, "0", str(op.type.shape[1]))
    return (Call(emitter.choice.functions[0], (*apart, emitter.activation, emitter.direction)),)


RULE: Rule[DepthwiseConv2d] = Rule(choose, emit)
