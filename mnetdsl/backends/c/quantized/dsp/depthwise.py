"""Depthwise 3x3 and 5x5 of four channels at a time, from columns that hold two rows in each register.

The driver copies each input row of four channels into a ring of lines once, with its border, and makes columns of them:
of each channel (row 0, row 1) of one column, (row 2, row 3) for 5x5, and of the last row two neighbours. A 3x3 output
then takes five SMLAD and one load of two words, because a column that is loaded serves three outputs; weights stay in
registers over some rows. A 5x5 output takes thirteen SMLAD, and a group of outputs loads the weights one by one.
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
from mnetdsl.backends.c.ops.window import window_of
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import depthwise_conv2d
from mnetdsl.backends.c.quantized.dsp.finish import Integers, Layer, layer_numbers, saturates_only
from mnetdsl.backends.c.quantized.dsp.groups import PLAIN, Group, groups
from mnetdsl.backends.c.quantized.dsp.steps import SCALE
from mnetdsl.backends.c.quantized.levels import as_words
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.tasks import Clearance, Mode, Scratch

CHANNELS = 4
"""Worked on at a time: the bytes of a register."""
PREFERRED_SHIFT = 10
_SOURCES = ("window", "dsp/job", "dsp/depthwise")
_UNROLLED = 6
"""Columns at most in a turn of the kernel's loop, a multiple of the three sums in flight."""
_STRAIGHT = 8
"""Rows up to this width have no loop."""
_IN_FLIGHT = (8, 7, 6, 5)
"""Outputs of 5x5 that are summed at once, where they do not fill a row."""
_COLUMN_BYTES = 2048
"""Columns of as many rows are made at once as fit here; those of one row are always."""


@dataclass(frozen=True)
class Shape:
    """What kernels are made for. There is a column for each input, with 3x3 and stride 2 one for two inputs."""

    size: int
    stride: int
    width: int
    channels: int
    rows: int

    @property
    def columns(self) -> int:
        if self.size == 3 and self.stride == 2:
            return self.width + 1
        return (self.width - 1) * self.stride + self.size

    @property
    def column_words(self) -> int:
        return CHANNELS * (2 if self.size == 3 and self.stride == 1 else 3)

    @property
    def line_words(self) -> int:
        """Of the ring; the last column is made with a word behind it."""
        return 2 * self.columns if self.size == 3 and self.stride == 2 else self.columns + 2

    @property
    def weight_words(self) -> int:
        """Of a channel."""
        return 2 if self.size == 3 else 13

    @property
    def shared_words(self) -> int:
        """Of four channels: the ninth weight of each."""
        return 1 if self.size == 3 else 0

    @property
    def batch(self) -> int:
        """Output rows whose columns are made at once."""
        return min(self.rows, max(1, _COLUMN_BYTES // (4 * self.column_words * self.columns)))

    @property
    def scratch_bytes(self) -> int:
        columns = self.batch * self.columns + 1
        return 4 * (self.size * self.line_words + columns * self.column_words)


def shape_of(op: DepthwiseConv2d) -> Shape:
    _, rows, width, channels = op.type.shape
    return Shape(op.filter.type.shape[0], op.strides[0], width, channels, rows)


def fits(op: DepthwiseConv2d) -> bool:
    channels, multiplier = op.filter.type.shape[2:]
    kernel = tuple(op.filter.type.shape[:2]) in ((3, 3), (5, 5))
    plain = multiplier == 1 and kernel and tuple(op.dilations) == (1, 1)
    strides = tuple(op.strides) in ((1, 1), (2, 2))
    sizes = channels % CHANNELS == 0 and channels < 4096 and op.type.shape[2] >= 3
    return plain and strides and sizes and saturates_only(op)


def choose(op: DepthwiseConv2d) -> Choice:
    window = window_of(op)
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
    window = window_of(op).table(emitter)
    prepare = _prepare(shape, emitter)
    zeros = str(grid(op.input.type).zero_point)
    calls = []
    found = groups(layer, CHANNELS, PREFERRED_SHIFT)
    if any(group.kind == PLAIN for group in found):
        emitter.choose_again(replace(emitter.choice, sources=("quantized", *_SOURCES)))
    for number, group in enumerate(found):
        words = pack(layer, group) if shape.size == 3 else pack_large(layer, group)
        stream = emitter.add(f"{op.name}.stream{number or ''}", words, "DSP")
        arguments = (
            window,
            prepare,
            _kernel(op, shape, group, emitter),
            stream,
            str(shape.shared_words + CHANNELS * _words(shape, group)),
            emitter.address(op.input),
            emitter.address(op.result),
            emitter.scratch(ElementType.I32),
            zeros,
            *map(str, (group.first, group.last, shape.rows, shape.batch)),
            *map(str, (shape.line_words, shape.columns * shape.column_words)),
        )
        calls.append(Call("dsp_depthwise", arguments))
    return calls


def _prepare(shape: Shape, emitter: Emitter) -> str:
    """C name of what makes columns."""
    if shape.size == 5:
        return emitter.kernel("dsp/depthwise5_columns", "dsp_columns_5")
    return emitter.kernel("dsp/depthwise_columns", f"dsp_columns_{shape.stride}", stride=shape.stride)


def _kernel(op: DepthwiseConv2d, shape: Shape, group: Group, emitter: Emitter) -> str:
    """C name of the kernel for rows of this shape."""
    name = f"dsp_depthwise{shape.size}_{shape.stride}_{shape.width}x{shape.channels}"
    values: dict[str, int] = {
        "size": shape.size,
        "stride": shape.stride,
        "width": shape.width,
        "channels": shape.channels,
        "columns": shape.columns,
        "column_words": shape.column_words,
        "shift": -1 if group.shift is None else group.shift,
        "words": _words(shape, group),
    }
    if group.kind == PLAIN:
        zero = grid(op.type).zero_point
        return emitter.kernel("dsp/depthwise_plain", f"{name}_plain_{zero % 256}", **values, zero=zero)
    if shape.size == 5:
        outputs = max(_IN_FLIGHT, key=lambda count: (-(shape.width % count), count)) if shape.width > 8 else shape.width
        return emitter.kernel("dsp/depthwise5_kernel", f"{name}_{group.name}", **values, outputs=outputs)
    unrolled = 0 if shape.width <= _STRAIGHT else _UNROLLED
    turns = shape.width // unrolled if unrolled else 0
    return emitter.kernel("dsp/depthwise_kernel", f"{name}_{group.name}", **values, unrolled=unrolled, turns=turns)


def _words(shape: Shape, group: Group) -> int:
    """Of a channel in the stream: weights, the offset, and what the finish loads."""
    return shape.weight_words + 1 + int(group.words.shape[1])


def pack(layer: Layer, group: Group) -> NDArray[np.int32]:
    """Of four channels the ninth weights; of each then eight weights in two words, offset, finish.

    A word of weights is taken apart by masking its odd bytes, and its even ones shifted up: pairs times 256.
    """
    k, offsets = _numbers(layer, group, 3)
    rows = [
        _bytes(k[0, 1], k[0, 0], k[1, 1], k[1, 0]),
        _bytes(k[2, 0], k[0, 2], k[2, 1], k[1, 2]),
        offsets,
        *group.words.T,
    ]
    ninth = _bytes(*k[2, 2].reshape(-1, CHANNELS).T)
    own = np.stack(rows, axis=1).reshape(len(ninth), -1)
    return as_words(np.concatenate([ninth[:, None], own], axis=1).reshape(-1))


def pack_large(layer: Layer, group: Group) -> NDArray[np.int32]:
    """Of each channel the offset, 25 weights as halves of 13 words, finish; weights of PLAIN groups are not scaled."""
    k, offsets = _numbers(layer, group, 5)
    k = k if group.kind == PLAIN else k * SCALE
    rows = [offsets]
    for column in range(5):
        rows += [_halves(k[0, column], k[1, column]), _halves(k[2, column], k[3, column])]
    rows += [_halves(k[4, 0], k[4, 1]), _halves(k[4, 2], k[4, 3]), _halves(k[4, 4], 0 * k[4, 4])]
    return as_words(np.stack([*rows, *group.words.T], axis=1).reshape(-1))


def _numbers(layer: Layer, group: Group, size: int) -> tuple[Integers, Integers]:
    """Weights [size, size, channels of the group] and what their sums start from."""
    own = slice(group.first, group.last)
    k = np.where(group.constants, 0, layer.taps[:, own]).reshape(size, size, -1)
    scale = 1 if group.kind == PLAIN else SCALE
    bias = np.where(group.constants, 0, layer.bias[own])
    return k, scale * (bias - layer.in_zero * k.sum(axis=(0, 1))) + group.offsets


def _halves(low: Integers, high: Integers) -> Integers:
    words: Integers = (low & 0xFFFF) | (high & 0xFFFF) << 16
    return words


def _bytes(*values: Integers) -> Integers:
    """Words of the low bytes of `values`, the first one lowest."""
    words = np.zeros_like(values[0])
    for index, value in enumerate(values):
        words |= (value & 0xFF) << (8 * index)
    return words


RULE: Rule[DepthwiseConv2d] = Rule(choose, emit)
