"""Pointwise convolution, two output channels by three pixels at a time, 17 instructions for 24 products.

Both operands of SMLAD are halves of a register. Of four inputs x0 to x3 in a word, SXTB16 makes (x0, x2), and the word
with the low seven bits of its even bytes flipped *is* (256 x1 + 127 - x0, 256 x3 + 127 - x2). Weights stand in pairs as
256 w0 + w1, whose low bytes SXTB16 makes w1 again, so that

    (256 w0 + w1) x0 + w1 (256 x1 + 127 - x0) = 256 (w0 x0 + w1 x1) + 127 w1

takes one SXTB16 for four weights instead of two, and the sum comes out times 256. The constant goes into the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.ops.conv2d import is_pointwise
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import conv2d
from mnetdsl.backends.c.quantized.dsp.finish import (
    Finish,
    Integers,
    Layer,
    find_finish,
    layer_numbers,
    saturates_only,
)
from mnetdsl.backends.c.quantized.dsp.steps import SCALE
from mnetdsl.backends.c.quantized.levels import as_words
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.tasks import Scratch

UNIT = 3
"""Pixels that are read before any of them is written."""
BLOCK = 4
"""Input channels in a word."""
EXPANDED = 6
"""Bytes of scratch memory for an input channel of three pixels: two halves each."""
_UNROLLED = 8
"""Blocks at most in a turn of the kernel's loop."""
PREFERRED_SHIFT = 12
_REACH = 2**15
_SOURCES = ("sweep", "dsp/job", "dsp/pointwise")


def fits(op: Conv2d) -> bool:
    inputs, outputs = op.input.type.shape[3], op.type.shape[3]
    sizes = inputs % BLOCK == 0 and outputs % 2 == 0 and inputs < 4096 and UNIT * outputs < 4096
    return is_pointwise(op) and sizes and saturates_only(op)


def choose(op: Conv2d) -> Choice:
    """Three pixels are read before any of them is written, which is safe wherever pixel by pixel is."""
    chosen = conv2d.choose(op)
    scratch = Scratch(EXPANDED * op.input.type.shape[3], 1)
    modes = tuple(replace(mode, scratch=scratch) for mode in chosen.modes)
    return replace(chosen, sources=_SOURCES, functions=("dsp_pointwise",), modes=modes)


def emit(op: Conv2d, emitter: Emitter) -> Sequence[Call]:
    layer = layer_numbers(op, emitter)
    finish = find_finish(layer.channels, PREFERRED_SHIFT)
    words = None if finish is None else pack(layer, finish)
    if finish is None or words is None:
        return portable(op, emitter)
    inputs, outputs = layer.taps.shape
    pixels = op.type.elements // outputs
    stream = emitter.add(f"{op.name}.stream", words, "DSP")
    arguments = (
        kernel(inputs, finish, emitter),
        stream,
        str(words.size),
        emitter.address(op.input),
        emitter.address(op.result),
        emitter.scratch(ElementType.I32),
        *map(str, (pixels, inputs, outputs, unrolled_blocks(inputs)[1])),
        emitter.direction,
    )
    return (Call("dsp_pointwise", arguments),)


def portable(op: Conv2d, emitter: Emitter) -> Sequence[Call]:
    """The layer by the kernel for any machine, planned as this one."""
    emitter.choose_again(conv2d.choose(op))
    return conv2d.emit(op, emitter)


def kernel(inputs: int, finish: Finish, emitter: Emitter) -> str:
    """C name of the kernel for so many input channels."""
    unrolled, turns = unrolled_blocks(inputs)
    shift = -1 if finish.shift is None else finish.shift
    # A kernel with a loop is told how often to turn; one without is made for its number of inputs.
    name = f"dsp_pointwise_{'x' if turns > 1 else ''}{BLOCK * unrolled}_{finish.name}"
    looped = int(turns > 1)
    return emitter.kernel("dsp/pointwise_kernel", name, unrolled=unrolled, looped=looped, shift=shift)


def unrolled_blocks(inputs: int, most: int = _UNROLLED) -> tuple[int, int]:
    """Blocks in a turn of a kernel's loop, and turns."""
    blocks = inputs // BLOCK
    unrolled = max(count for count in range(1, most + 1) if blocks % count == 0)
    return unrolled, blocks // unrolled


def pack(layer: Layer, finish: Finish) -> NDArray[np.int32] | None:
    """The words in the order in which the kernel loads them, for each pair of channels: offsets, a word of each for
    every four inputs, then what the finish loads. None where two weights do not fit a half."""
    found = paired(layer, finish)
    if found is None:
        return None
    offsets, blocks = found
    parts = []
    for first in range(0, len(offsets), 2):
        own = slice(first, first + 2)
        parts += [offsets[own], blocks[:, own].reshape(-1), finish.words[own].reshape(-1)]
    return as_words(np.concatenate(parts))


def paired(layer: Layer, finish: Finish) -> tuple[Integers, Integers] | None:
    """What the sums start from [O], and weights in pairs, a word for every four inputs [blocks, O].

    Inputs are filled up to a multiple of four, with weights of 0. None where two weights do not fit a half.
    """
    taps = np.where(layer.constants, 0, layer.taps)
    taps = np.pad(taps, ((0, -len(taps) % BLOCK), (0, 0)))
    pairs = SCALE * taps[0::2] + taps[1::2]
    if pairs.size and (pairs.max() >= _REACH or pairs.min() < -_REACH):
        return None
    blocks: Integers = (pairs[0::2] & 0xFFFF) | (pairs[1::2] & 0xFFFF) << 16
    bias = np.where(layer.constants, 0, layer.bias)
    offsets: Integers = SCALE * (bias - layer.in_zero * taps.sum(axis=0)) - 127 * taps[1::2].sum(axis=0)
    return offsets + finish.offsets, blocks


RULE: Rule[Conv2d] = Rule(choose, emit)
