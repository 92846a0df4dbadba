"""Convolution with a window: patches of some pixels are gathered, and the pointwise kernel takes them as its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.window import window_of
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import conv2d
from mnetdsl.backends.c.quantized.dsp import pointwise
from mnetdsl.backends.c.quantized.dsp.finish import find_finish, layer_numbers, saturates_only
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.tasks import Scratch

_PATCH_BYTES = 1024
"""Patches of as many pixels are gathered at once as fit here; those of one unit are always."""


def patch_bytes(op: Conv2d) -> int:
    """Of one pixel, filled up to whole words."""
    taps = op.filter.type.elements // op.type.shape[3]
    return -(-taps // pointwise.BLOCK) * pointwise.BLOCK


def batch(op: Conv2d) -> int:
    """Pixels whose patches are gathered at once."""
    return max(1, _PATCH_BYTES // (pointwise.UNIT * patch_bytes(op))) * pointwise.UNIT


def fits(op: Conv2d) -> bool:
    outputs = op.type.shape[3]
    sizes = outputs % 2 == 0 and patch_bytes(op) < 4096 and pointwise.UNIT * outputs < 4096
    return tuple(op.dilations) == (1, 1) and sizes and saturates_only(op)


def choose(op: Conv2d) -> Choice:
    """Patches are gathered before any of their pixels is written, which is safe wherever pixel by pixel is."""
    chosen = conv2d.choose(op)
    scratch = Scratch((batch(op) + pointwise.EXPANDED) * patch_bytes(op), 1)
    modes = tuple(replace(mode, scratch=scratch) for mode in chosen.modes)
    sources = ("sweep", "window", "dsp/job", "dsp/pointwise", "dsp/window")
    return replace(chosen, sources=sources, functions=("dsp_window",), modes=modes)


def emit(op: Conv2d, emitter: Emitter) -> Sequence[Call]:
    layer = layer_numbers(op, emitter)
    finish = find_finish(layer.channels, pointwise.PREFERRED_SHIFT)
    words = None if finish is None else pointwise.pack(layer, finish)
    if finish is None or words is None:
        return pointwise.portable(op, emitter)
    height, columns, inputs = op.filter.type.shape[:3]
    gather = emitter.kernel(
        "dsp/window_gather",
        f"dsp_gather_{height}x{columns}x{inputs}",
        height=height,
        columns=columns,
        inputs=inputs,
        bytes=patch_bytes(op),
    )
    arguments = (
        window_of(op).table(emitter),
        gather,
        pointwise.kernel(patch_bytes(op), finish, emitter),
        emitter.add(f"{op.name}.stream", words, "DSP"),
        str(words.size),
        emitter.address(op.input),
        emitter.address(op.result),
        emitter.scratch(ElementType.I32),
        *map(str, (grid(op.input.type).zero_point, op.type.shape[1], patch_bytes(op), batch(op))),
        str(pointwise.unrolled_blocks(patch_bytes(op))[1]),
        emitter.direction,
    )
    return (Call("dsp_window", arguments),)


RULE: Rule[Conv2d] = Rule(choose, emit)
