"""conv2d: the pointwise kernel where each output pixel reads one input pixel, the general one else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnetdsl.backends.c.choice import Choice, Rule, require_constant, require_float
from mnetdsl.backends.c.emitter import C_NULL, Array, Emitter
from mnetdsl.backends.c.ops.window import FLOAT, PANEL, backward, forward, last_panel, window_of
from mnetdsl.backends.c.program import Call
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.plan.sweep import Sweep, pixel_sweep
from mnetdsl.plan.tasks import Clearance, Mode


def is_pointwise(op: Conv2d) -> bool:
    """Whether output pixel p reads input pixel p and no other."""
    return op.filter.type.shape[:2] == (1, 1) and op.strides == (1, 1) and not any(op.padding)


def arrange_panels(filter: Array) -> Array:
    """[KH, KW, I, O] or [I, O] to panels of `PANEL` output channels, each [KH, KW, I, panel] in one run."""
    matrix = filter.reshape(-1, filter.shape[-1])
    return np.concatenate([matrix[:, start : start + PANEL].reshape(-1) for start in range(0, matrix.shape[1], PANEL)])


def choose(op: Conv2d) -> Choice:
    require_constant(op, op.filter, op.bias)
    require_float(op, op.input)
    pixels, channels = op.type.elements // op.type.shape[3], op.type.shape[3]
    window = window_of(op)
    if is_pointwise(op):
        function = "pointwise"
        sweep = pixel_sweep(pixels, op.input.type.shape[3] * FLOAT, channels * FLOAT, last_panel(channels))
    else:
        function = "conv2d"
        sweep = window.sweep(last_panel(channels))
    residual = () if op.residual is None else (op.residual,)
    taps = op.filter.type.elements // channels
    return Choice(
        title=f"conv {window.kind}",
        sources=("sweep", "activation", "panel", "window", "conv2d"),
        functions=(function,),
        reads=(op.input, *residual),
        modes=_modes(op, sweep),
        macs=pixels * taps * channels,
        activation=op.activation,
    )


def _modes(op: Conv2d, sweep: Sweep) -> tuple[Mode, ...]:
    """The residual is read panel by panel just before the result takes its place, so both may share an address;
    sweeping forward the result may also lie below it, sweeping backward at least a pixel above."""
    ahead, behind = [forward(sweep, op.input.type)], [backward(sweep, op.input.type, op.type)]
    if op.residual is not None:
        pixel = op.type.shape[3] * FLOAT
        ahead.append(Clearance(above=op.type.byte_size, below=0, same=True))
        behind.append(Clearance(above=pixel, below=op.type.byte_size, same=True))
    return Mode("forward", tuple(ahead)), Mode("backward", tuple(behind))


def emit(op: Conv2d, emitter: Emitter) -> Sequence[Call]:
    common = (
        emitter.address(op.input),
        C_NULL if op.residual is None else emitter.address(op.residual),
        emitter.address(op.result),
        emitter.table(op.filter, "panels", arrange_panels),
        emitter.optional_table(op.bias),
    )
    height, width, channels = op.type.shape[1:]
    tail = (emitter.activation, emitter.direction)
    if is_pointwise(op):
        sizes = (str(height * width), str(op.input.type.shape[3]), str(channels))
        return (Call("pointwise", (*common, *sizes, *tail)),)
    return (Call("conv2d", (window_of(op).table(emitter), *common, "0", str(height), *tail)),)


RULE: Rule[Conv2d] = Rule(choose, emit)
