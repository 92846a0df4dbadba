"""conv2d on Helium: the kernel of pointwise convolutions on the map itself, or on patches of it in scratch memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.conv2d import is_pointwise
from mnetdsl.backends.c.ops.window import forward, window_of
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import conv2d
from mnetdsl.backends.c.quantized.helium import pointwise
from mnetdsl.backends.c.quantized.helium.finish import Finish, finish_of, stored_in_bytes, taps_of
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.sweep import Sweep
from mnetdsl.plan.tasks import Mode, Scratch

_PATCH_MEMORY = 4096
"""Bytes of scratch memory for patches, where one group of pixels does not need more."""


def fits(op: Conv2d) -> bool:
    inputs, outputs = op.input.type.shape[3], op.type.shape[3]
    return (
        stored_in_bytes(op)
        and outputs % pointwise.FOUR == 0
        and op.dilations == (1, 1)
        and (not is_pointwise(op) or inputs % pointwise.FOUR == 0)
    )


def choose(op: Conv2d) -> Choice:
    portable = conv2d.choose(op)
    if is_pointwise(op):
        mode = Mode("forward", (forward(_group_sweep(op), op.input.type),))
        return replace(portable, sources=pointwise.SOURCES, modes=(mode,))
    patch = _patch_bytes(op)
    scratch = Scratch(_patches(op) * patch, 1)
    return replace(
        portable,
        sources=("window", *pointwise.SOURCES, "helium/copy", "helium/window_patches"),
        modes=(Mode("forward", (None,), scratch),),
    )


def _group_sweep(op: Conv2d) -> Sweep:
    """Pixel by pixel; those of a group are written while all of them are still read."""
    inputs, outputs = op.input.type.shape[3], op.type.shape[3]
    begin: list[int] = []
    for groups in pointwise.groups_of(op.type.elements // outputs):
        for _ in range(groups.count):
            begin += [len(begin)] * groups.pixels
    starts = np.array(begin, np.int64) * inputs
    ends = (np.arange(len(begin), dtype=np.int64) + 1) * inputs
    return Sweep(outputs, 0, starts, ends)


def _taps(op: Conv2d) -> int:
    return op.filter.type.elements // op.type.shape[3]


def _patch_bytes(op: Conv2d) -> int:
    """Of a patch: whole words, so that every patch is aligned."""
    return -(-_taps(op) // pointwise.FOUR) * pointwise.FOUR


def _patches(op: Conv2d) -> int:
    """Patches made at a time: a line of them, or as many as fit."""
    columns = op.type.shape[2]
    room = max(pointwise.FOUR, _PATCH_MEMORY // _patch_bytes(op) // pointwise.FOUR * pointwise.FOUR)
    return min(columns, room)


def emit(op: Conv2d, emitter: Emitter) -> Sequence[Call]:
    finish = finish_of(op, emitter)
    stream = emitter.add(f"{op.name}.stream", pointwise.pack(taps_of(op, emitter), finish), "Helium")
    return (_on_map if is_pointwise(op) else _on_patches)(op, finish, stream, emitter)


def _on_map(op: Conv2d, finish: Finish, stream: str, emitter: Emitter) -> tuple[Call, ...]:
    inputs, outputs = op.input.type.shape[3], op.type.shape[3]
    calls, first = [], 0
    for groups in pointwise.groups_of(op.type.elements // outputs):
        pointers = (
            _offset(emitter.address(op.input), first * inputs),
            _offset(emitter.address(op.result), first * outputs),
        )
        function = pointwise.kernel(inputs, groups.lanes, finish, emitter)
        calls.append(Call(function, (pointwise.shape(groups, inputs, outputs, finish, emitter), *pointers, stream)))
        first += groups.count * groups.pixels
    return tuple(calls)


def _offset(pointer: str, elements: int) -> str:
    return f"{pointer} + {elements}" if elements else pointer


def _on_patches(op: Conv2d, finish: Finish, stream: str, emitter: Emitter) -> tuple[Call, ...]:
    patch, lanes = _patch_bytes(op), pointwise.FOUR
    kernel = pointwise.kernel(patch, lanes, finish, emitter)
    arguments = (
        f"{emitter.prefix}_{kernel}",
        pointwise.shape(pointwise.Groups(1, lanes, lanes), patch, op.type.shape[3], finish, emitter),
        window_of(op).table(emitter),
        str(grid(op.input.type).zero_point),
        emitter.address(op.input),
        emitter.address(op.result),
        emitter.scratch(ElementType.I8),
        *map(str, (_patches(op), op.type.shape[1])),
        stream,
    )
    return (Call("helium_conv2d", arguments),)


RULE: Rule[Conv2d] = Rule(choose, emit)
