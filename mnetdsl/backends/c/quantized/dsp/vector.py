"""Layers of one pixel, four outputs at a time: dense, and convolutions behind a mean over the whole map.

The products are those of `pointwise`: 14 instructions for 16 of them, as no second pixel shares the weights.
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
from mnetdsl.backends.c.quantized import conv2d, dense
from mnetdsl.backends.c.quantized.dsp.finish import Finish, Layer, find_finish, layer_numbers, saturates_only
from mnetdsl.backends.c.quantized.dsp.pointwise import BLOCK, PREFERRED_SHIFT, paired, unrolled_blocks
from mnetdsl.backends.c.quantized.levels import as_words
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.tasks import Scratch

OUTPUTS = 4
UNROLLED = 4
"""Blocks at most in a turn of the kernel's loop."""
_EXPANDED = 2
"""Bytes of scratch memory for an input."""
_SOURCES = ("dsp/job", "dsp/vector")


def fits(op: Conv2d | Dense) -> bool:
    pixels = op.type.elements // op.type.shape[-1]
    inputs = op.filter.type.shape[-2]
    alone = pixels == 1 and (isinstance(op, Dense) or is_pointwise(op))
    return alone and inputs % BLOCK == 0 and inputs < 4096 and saturates_only(op)


def _choose_portable(op: Conv2d | Dense) -> Choice:
    return dense.choose(op) if isinstance(op, Dense) else conv2d.choose(op)


def choose(op: Conv2d | Dense) -> Choice:
    """All inputs are read before any output is written, which is safe wherever output by output is."""
    chosen = _choose_portable(op)
    scratch = Scratch(_EXPANDED * op.filter.type.shape[-2], 1)
    modes = tuple(replace(mode, scratch=scratch) for mode in chosen.modes)
    return replace(chosen, sources=_SOURCES, functions=("dsp_vector",), modes=modes)


def emit(op: Conv2d | Dense, emitter: Emitter) -> Sequence[Call]:
    layer = layer_numbers(op, emitter)
    finish = find_finish(layer.channels, PREFERRED_SHIFT)
    words = None if finish is None else pack(layer, finish)
    if finish is None or words is None:
        emitter.choose_again(_choose_portable(op))
        return dense.emit(op, emitter) if isinstance(op, Dense) else conv2d.emit(op, emitter)
    inputs, outputs = layer.taps.shape
    arguments = (
        _kernel(inputs, finish, emitter),
        emitter.add(f"{op.name}.stream", words, "DSP"),
        str(words.size),
        emitter.address(op.input),
        emitter.address(op.result),
        emitter.scratch(ElementType.I32),
        str(outputs),
    )
    return (Call("dsp_vector", arguments),)


def _kernel(inputs: int, finish: Finish, emitter: Emitter) -> str:
    unrolled, turns = unrolled_blocks(inputs, UNROLLED)
    shift = -1 if finish.shift is None else finish.shift
    name = f"dsp_vector_{inputs}_{finish.name}"
    return emitter.kernel("dsp/vector_kernel", name, inputs=inputs, unrolled=unrolled, turns=turns, shift=shift)


def pack(layer: Layer, finish: Finish) -> NDArray[np.int32] | None:
    """For each four outputs: offsets, a word of each for every four inputs, then what the finish loads. Outputs are
    filled up to a multiple of four with ones that are not stored. None where two weights do not fit a half."""
    found = paired(layer, finish)
    if found is None:
        return None
    offsets, blocks = found
    surplus = -len(offsets) % OUTPUTS
    offsets, blocks = np.pad(offsets, (0, surplus)), np.pad(blocks, ((0, 0), (0, surplus)))
    words = np.pad(finish.words, ((0, surplus), (0, 0)))
    parts = []
    for first in range(0, len(offsets), OUTPUTS):
        own = slice(first, first + OUTPUTS)
        parts += [offsets[own], blocks[:, own].reshape(-1), words[own].reshape(-1)]
    return as_words(np.concatenate(parts))


CONV_RULE: Rule[Conv2d] = Rule(choose, emit)
DENSE_RULE: Rule[Dense] = Rule(choose, emit)
