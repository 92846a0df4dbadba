"""Depthwise 3x3 of four channels at a time, from columns that hold two rows in each register.

The driver copies each input row of four channels into a ring of three lines once, with its border, and makes columns
of them: of each channel (row 0, row 1) of one column, and of row 2 two neighbours. An output then takes five SMLAD and
one load of two words, because a column that is loaded serves three outputs; weights stay in registers over some rows.
The ring makes the layer safe in place of its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.depthwise_conv2d import fits_in_place
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import depthwise_conv2d
from mnetdsl.backends.c.quantized.dsp.finish import Integers, Layer, as_words, layer_numbers, saturates_only
from mnetdsl.backends.c.quantized.dsp.groups import PLAIN, Group, groups
from mnetdsl.backends.c.quantized.dsp.steps import SCALE
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.tasks import Clearance, Mode, Scratch

CHANNELS = 4
"""Worked on at a time: the bytes of a register."""
KERNEL = (3, 3)
PREFERRED_SHIFT = 10
_SOURCES = ("window", "dsp/job", "dsp/depthwise")
_LINES = 3
_UNROLLED = 12
"""Columns at most in a turn of the kernel's loop, a multiple of the three sums in flight."""
_STRAIGHT = 16
"""Rows up to this width have no loop."""
_COLUMN_BYTES = 2048
"""Columns of as many rows are made at once as fit here; those of one row are always."""


@dataclass(frozen=True)
class Shape:
    """What kernels are made for. Stride 1 has a column for each of width + 2 inputs, stride 2 one for each output
    and one more, in which two inputs meet."""

    stride: int
    width: int
    channels: int
    rows: int

    @property
    def columns(self) -> int:
        return self.width + 2 if self.stride == 1 else self.width + 1

    @property
    def column_words(self) -> int:
        return CHANNELS * (2 if self.stride == 1 else 3)

    @property
    def line_words(self) -> int:
        """Of the ring; kernels that take two columns in a turn read up to two words behind the last one."""
        return self.columns + 2 if self.stride == 1 else 2 * self.columns

    @property
    def batch(self) -> int:
        """Output rows whose columns are made at once."""
        return min(self.rows, max(1, _COLUMN_BYTES // (4 * self.column_words * self.columns)))

    @property
    def scratch_bytes(self) -> int:
        columns = self.batch * self.columns + 1
        return 4 * (_LINES * self.line_words + columns * self.column_words)


def shape_of(op: DepthwiseConv2d) -> Shape:
    _, rows, width, channels = op.type.shape
    return Shape(op.strides[0], width, channels, rows)


def fits(op: DepthwiseConv2d) -> bool:
    channels, multiplier = op.filter.type.shape[2:]
    plain = multiplier == 1 and tuple(op.filter.type.shape[:2]) == KERNEL and tuple(op.dilations) == (1, 1)
    strides = tuple(op.strides) in ((1, 1), (2, 2))
    sizes = channels % CHANNELS == 0 and channels < 4096 and op.type.shape[2] >= 3
    return plain and strides and sizes and saturates_only(op)


def choose(op: DepthwiseConv2d) -> Choice:
    window = depthwise_conv2d.window_of(op)
    clearance = Clearance(op.input.type.byte_size, op.type.byte_size, same=fits_in_place(window))
    scratch = Scratch(shape_of(op).scratch_bytes, 1)
    return replace(
        depthwise_conv2d.choose(op),
        sources=_SOURCES,
        functions=("dsp_depthwise",),
        modes=(Mode("lines", (clearance,), scratch),),
    )


def emit(op: DepthwiseConv2d, emitter: Emitter) -> Sequence[Call]:
    layer = layer_numbers(op, emitter)
    shape = shape_of(op)
    window = depthwise_conv2d.window_of(op).table(emitter)
    prepare = emitter.kernel("dsp/depthwise_columns", f"dsp_columns_{shape.stride}", stride=shape.stride)
    zeros = str(grid(op.input.type).zero_point)
    calls = []
    found = groups(layer, CHANNELS, PREFERRED_SHIFT)
    if any(group.kind == PLAIN for group in found):
        emitter.choose_again(replace(emitter.choice, sources=("quantized", *_SOURCES)))
    for number, group in enumerate(found):
        stream = emitter.add(f"{op.name}.stream{number or ''}", pack(layer, group), "DSP")
        arguments = (
            window,
            prepare,
            _kernel(op, shape, group, emitter),
            stream,
            str(CHANNELS * _words(group)),
            emitter.address(op.input),
            emitter.address(op.result),
            emitter.scratch(ElementType.I32),
            zeros,
            *map(str, (group.first, group.last, shape.rows, shape.batch)),
        )
        calls.append(Call("dsp_depthwise", arguments))
    return calls


def _kernel(op: DepthwiseConv2d, shape: Shape, group: Group, emitter: Emitter) -> str:
    """C name of the kernel for rows of this shape."""
    sizes = f"{shape.stride}_{shape.width}x{shape.channels}"
    unrolled = 0 if shape.width <= _STRAIGHT else _UNROLLED
    values: dict[str, int] = {
        "stride": shape.stride,
        "width": shape.width,
        "channels": shape.channels,
        "columns": shape.columns,
        "column_words": shape.column_words,
        "unrolled": unrolled,
        "turns": shape.width // unrolled if unrolled else 0,
        "shift": -1 if group.shift is None else group.shift,
        "words": _words(group),
    }
    if group.kind == PLAIN:
        zero = grid(op.type).zero_point
        name = f"dsp_depthwise_{sizes}_plain_{zero % 256}"
        return emitter.kernel("dsp/depthwise_plain", name, **values, zero=zero)
    return emitter.kernel("dsp/depthwise_kernel", f"dsp_depthwise_{sizes}_{group.name}", **values)


def _words(group: Group) -> int:
    """Of a channel in the stream: three of weights, the offset, and what the finish loads."""
    return 4 + int(group.words.shape[1])


def pack(layer: Layer, group: Group) -> NDArray[np.int32]:
    """Of each channel nine weights in three words, offset, finish.

    A word of weights is taken apart by masking its odd bytes, and its even ones shifted up: pairs times 256.
    """
    own = slice(group.first, group.last)
    k = np.where(group.constants, 0, layer.taps[:, own]).reshape(3, 3, -1)
    scale = 1 if group.kind == PLAIN else SCALE
    bias = np.where(group.constants, 0, layer.bias[own])
    offsets = scale * (bias - layer.in_zero * k.sum(axis=(0, 1))) + group.offsets
    rows = [
        _bytes(k[0, 1], k[0, 0], k[1, 1], k[1, 0]),
        _bytes(k[2, 0], k[0, 2], k[2, 1], k[1, 2]),
        _bytes(0 * k[2, 2], k[2, 2]),
        offsets,
        *group.words.T,
    ]
    return as_words(np.stack(rows, axis=1).reshape(-1))


def _bytes(*values: Integers) -> Integers:
    """Words of the low bytes of `values`, the first one lowest."""
    words = np.zeros_like(values[0])
    for index, value in enumerate(values):
        words |= (value & 0xFF) << (8 * index)
    return words


RULE: Rule[DepthwiseConv2d] = Rule(choose, emit)
