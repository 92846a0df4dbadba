"""The kernel of pointwise convolutions: two output channels by four pixels at a time, 14 instructions for 128 products.

Sums stand in the eight even registers. Four output channels are finished together, so that each pixel's four results
are a word, and one instruction scatters the words of four pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.quantized.helium.finish import Finish
from mnetdsl.backends.c.quantized.levels import as_words

BLOCK = 16
"""Input channels in a vector."""
FOUR = 4
"""Output channels in a word; pixels in a group."""
SOURCES = ("quantized", "helium/common", "helium/pixels")
_UNROLLED = 8
"""Blocks of input channels up to which a kernel has no loop over them."""
_ROUND = 4
"""Blocks in a round of that loop."""


@dataclass(frozen=True)
class Groups:
    """`count` groups of `pixels` pixels each, for a kernel of `lanes` of them: what is missing repeats the last."""

    count: int
    pixels: int
    lanes: int


def groups_of(pixels: int) -> tuple[Groups, ...]:
    """Fours, then up to three threes: a kernel for three pixels does a quarter less than one for four."""
    threes = -pixels % FOUR
    if 3 * threes <= pixels:
        found = Groups((pixels - 3 * threes) // FOUR, FOUR, FOUR), Groups(threes, 3, 3)
    else:
        found = Groups(pixels // 3, 3, 3), Groups(1 if pixels % 3 else 0, pixels % 3, 3)
    return tuple(groups for groups in found if groups.count)


def kernel(inputs: int, lanes: int, finish: Finish, emitter: Emitter) -> str:
    """Name, without the prefix, of the kernel for so many inputs a pixel."""
    blocks = -(-inputs // BLOCK)
    tail = 1 if inputs % BLOCK else 0
    looped = blocks > _UNROLLED
    before = (blocks - tail - 1) % _ROUND
    size = f"loop{before}" if looped else str(blocks)
    name = f"helium_pointwise_{size}{'t' if tail else ''}_{lanes}_{finish.kind}"
    values = {"blocks": 0 if looped else blocks, "tail": tail, "looped": int(looped), "before_loop": before}
    emitter.kernel("helium/pointwise_kernel", name, pixels=lanes, kind=finish.kind, **values)
    return name


def shape(groups: Groups, inputs: int, outputs: int, finish: Finish, emitter: Emitter) -> str:
    """C text of the address of the struct `pixels`."""
    others = [min(pixel, groups.pixels - 1) for pixel in (1, 2, 3)]
    blocks, tail = -(-inputs // BLOCK), inputs % BLOCK
    return emitter.shape(
        "pixels",
        groups.count,
        outputs // FOUR,
        *(pixel * inputs for pixel in others),
        groups.pixels * inputs,
        *(pixel * outputs for pixel in others),
        (groups.pixels - 1) * outputs,
        finish.zero,
        (blocks - (1 if tail else 0) - 1) // _ROUND,
        BLOCK * blocks,
        (1 << tail) - 1 if tail else (1 << BLOCK) - 1,
        finish.low,
        finish.high,
        inputs,
    )


def filled(outputs: int) -> int:
    """Outputs with those that fill the last word."""
    return -(-outputs // FOUR) * FOUR


def pack(taps: NDArray[np.int8], finish: Finish) -> NDArray[np.int32]:
    """The stream of a layer: of each four output channels the pairs (0, 2) and (1, 3), whose results alternate.

    Zeros fill the last four.
    """
    inputs, outputs = taps.shape
    blocks, whole = -(-inputs // BLOCK), filled(outputs)
    padded = np.zeros((whole, blocks * BLOCK), np.int8)
    padded[:outputs, :inputs] = taps.T
    order = np.arange(whole).reshape(-1, 2, 2).swapaxes(1, 2).reshape(-1, 2)
    weights = padded[order].reshape(-1, 2, blocks, BLOCK).swapaxes(1, 2).reshape(len(order), -1)
    columns = (finish.bias, finish.multiplier, finish.shifts)
    constants = np.stack([np.pad(as_words(column), (0, whole - outputs))[order] for column in columns], axis=1).reshape(
        len(order), -1
    )
    words = np.ascontiguousarray(weights).view(np.int32)
    return np.concatenate([words, constants], axis=1).reshape(-1)
