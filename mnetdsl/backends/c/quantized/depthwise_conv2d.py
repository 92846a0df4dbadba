"""depthwise_conv2d of stored integers: pixel by pixel, or in place through a few lines of scratch memory."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.backends.c.choice import Choice, Rule, require_constant
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.depthwise_conv2d import fits_in_place, ring_lines
from mnetdsl.backends.c.ops.window import Window, backward, forward, window_of
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized.levels import levels, requantization, variant, width
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.plan.tasks import Clearance, Mode, Scratch


def choose(op: DepthwiseConv2d) -> Choice:
    require_constant(op, op.filter, op.bias, op.filter_scale, op.filter_zero_point)
    window = window_of(op)
    multiplier = op.filter.type.shape[3]
    modes = _modes(op, window, multiplier)
    names = ("depthwise_multiplied",) if multiplier > 1 else ("depthwise_conv2d", "depthwise_in_place")
    used = names if len(modes) > 2 else names[:1]
    return Choice(
        title=f"depthwise {window.kind}",
        sources=("sweep", "panel", "window", "quantized", "quantized_depthwise_conv2d"),
        functions=tuple(variant(name, op.input, op.result) for name in used),
        reads=(op.input,),
        modes=modes,
        macs=op.type.elements * window.kernel[0] * window.kernel[1],
        activation=op.activation,
    )


def _modes(op: DepthwiseConv2d, window: Window, multiplier: int) -> tuple[Mode, ...]:
    """A channel reads no other, so that writing a pixel may follow reading it, at the pace of the narrower elements."""
    channels = op.input.type.shape[3]
    sweep = window.sweep(tail=channels * min(width(op.input), width(op.result)))
    ahead = forward(sweep, op.input.type)
    modes = (
        Mode("forward", (ahead,)),
        Mode("backward", (backward(sweep, op.input.type, op.type),)),
    )
    unit = ring_lines(window) * window.input[2] * width(op.input)
    alike = op.input.type.element is op.type.element
    if multiplier > 1 or ahead.below <= unit or not alike or not fits_in_place(window):
        return modes
    in_place = Clearance(above=op.input.type.byte_size, below=op.type.byte_size, same=True)
    return (*modes, Mode("lines", (in_place,), Scratch(unit, channels)))


def emit(op: DepthwiseConv2d, emitter: Emitter) -> Sequence[Call]:
    window = window_of(op)
    tables = (window.table(emitter), levels(op, emitter))
    weights = (emitter.table(op.filter), *requantization(op, emitter))
    height = str(op.type.shape[1])
    scratch = emitter.step.scratch
    if scratch is not None:
        lines = (emitter.scratch(op.input.type.element), str(ring_lines(window)), str(scratch.units))
        in_place = (*tables, emitter.address(op.result), *lines, *weights, height)
        return (Call(emitter.choice.functions[1], in_place),)
    pointers = (emitter.address(op.input), emitter.address(op.result))
    return (Call(emitter.choice.functions[0], (*tables, *pointers, *weights, "0", height, emitter.direction)),)


RULE: Rule[DepthwiseConv2d] = Rule(choose, emit)
