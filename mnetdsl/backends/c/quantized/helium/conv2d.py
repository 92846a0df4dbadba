"""conv2d on Helium: the kernel of pointwise convolutions on the map itself, or on patches of it in scratch memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.conv2d import is_pointwise
from mnetdsl.backends.c.ops.window import forward, window_of
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import conv2d
from mnetdsl.backends.c.quantized.helium import pointwise
from mnetdsl.backends.c.quantized.helium.finish import Finish, stored_in_bytes, taps_and_finish
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.sweep import Sweep
from mnetdsl.plan.tasks import Mode, Scratch

_GATHERED = 3
"""Blocks of 16 numbers of a patch that kernels gather from lines."""
_REACH = 2**16
"""Offsets of gathers stay below this."""
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
    if _by_lines(op):
        scratch = Scratch(op.filter.type.shape[0] * _pitch(op), 1)
        sources = ("window", *pointwise.SOURCES, "helium/copy", "helium/window_lines")
        return replace(portable, sources=sources, modes=(Mode("forward", (None,), scratch),))
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


def _line_bytes(op: Conv2d) -> int:
    """Of a line of a window, an even number."""
    _, width, inputs, _ = op.filter.type.shape
    return -(-width * inputs // 2) * 2


def _pitch(op: Conv2d) -> int:
    """Bytes of a line that all windows of a row lie in, an even number."""
    _, width, inputs, _ = op.filter.type.shape
    return -(-((op.type.shape[2] - 1) * op.strides[1] + width) * inputs // 2) * 2


def _by_lines(op: Conv2d) -> bool:
    """Whether patches are gathered from lines in scratch memory, two numbers at a time."""
    height, _, inputs, _ = op.filter.type.shape
    return (
        not is_pointwise(op)
        and height * _line_bytes(op) <= _GATHERED * pointwise.BLOCK
        and op.strides[1] * inputs % 2 == 0
        and op.padding[2] >= 0
        and height * _pitch(op) < _REACH
    )


def emit(op: Conv2d, emitter: Emitter) -> Sequence[Call]:
    taps, finish = taps_and_finish(op, emitter)
    if _by_lines(op):
        return _on_lines(op, taps, finish, emitter)
    if not is_pointwise(op):
        taps = np.pad(taps, ((0, _patch_bytes(op) - len(taps)), (0, 0)))
    stream = emitter.add(f"{op.name}.stream", pointwise.pack(taps, finish), "Helium")
    return (_on_map if is_pointwise(op) else _on_patches)(op, finish, stream, emitter)


def _on_map(op: Conv2d, finish: Finish, stream: str, emitter: Emitter) -> tuple[Call, ...]:
    inputs, outputs = op.input.type.shape[3], op.type.shape[3]
    calls, first = [], 0
    for groups in pointwise.groups_of(op.type.elements // outputs):
        pointers = (
            _offset(emitter.address(op.input), first * inputs),
            _offset(emitter.address(op.result), first * outputs),
        )
        function = pointwise.kernel(inputs, groups.lanes, outputs, finish, emitter, apart=groups.pixels == groups.lanes)
        calls.append(Call(function, (pointwise.shape(groups, inputs, outputs, finish, emitter), *pointers, stream)))
        first += groups.count * groups.pixels
    return tuple(calls)


def _on_lines(op: Conv2d, stored: NDArray[np.int8], finish: Finish, emitter: Emitter) -> tuple[Call, ...]:
    height, width, inputs, outputs = op.filter.type.shape
    line, pitch = _line_bytes(op), _pitch(op)
    size = -(-height * line // pointwise.BLOCK) * pointwise.BLOCK
    taps = np.zeros((height, line, outputs), np.int8)
    taps[:, : width * inputs] = stored.reshape(height, width * inputs, outputs)
    patch = np.zeros((size, outputs), np.int8)
    patch[: height * line] = taps.reshape(-1, outputs)
    offsets = np.zeros(size // 2, np.uint16)
    places = np.arange(height)[:, None] * pitch + np.arange(0, line, 2)
    offsets[: places.size] = places.reshape(-1)
    words = np.concatenate([offsets.view(np.int32), pointwise.pack(patch, finish)])
    stream = emitter.add(f"{op.name}.stream", words, "Helium")
    lanes = pointwise.FOUR
    kernel = pointwise.kernel(size, lanes, outputs, finish, emitter, window=True)
    groups = pointwise.Groups(1, lanes, lanes)
    arguments = (
        f"{emitter.prefix}_{kernel}",
        pointwise.shape(groups, size, outputs, finish, emitter, step=op.strides[1] * inputs),
        *_gathered(op, emitter),
        *map(str, (pitch, op.type.shape[1])),
        stream,
    )
    return (Call("helium_window", arguments),)


def _gathered(op: Conv2d, emitter: Emitter) -> tuple[str, ...]:
    """Arguments of drivers that gather windows in front of a kernel: from where, with what beside the map, to where."""
    return (
        window_of(op).table(emitter),
        str(grid(op.input.type).zero_point),
        emitter.address(op.input),
        emitter.address(op.result),
        emitter.scratch(ElementType.I8),
    )


def _offset(pointer: str, elements: int) -> str:
    return f"{pointer} + {elements}" if elements else pointer


def _on_patches(op: Conv2d, finish: Finish, stream: str, emitter: Emitter) -> tuple[Call, ...]:
    patch, lanes = _patch_bytes(op), pointwise.FOUR
    kernel = pointwise.kernel(patch, lanes, op.type.shape[3], finish, emitter)
    arguments = (
        f"{emitter.prefix}_{kernel}",
        pointwise.shape(pointwise.Groups(1, lanes, lanes), patch, op.type.shape[3], finish, emitter),
        *_gathered(op, emitter),
        *map(str, (_patches(op), op.type.shape[1])),
        stream,
    )
    return (Call("helium_conv2d", arguments),)


RULE: Rule[Conv2d] = Rule(choose, emit)
