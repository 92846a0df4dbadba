"""The kernel of pointwise convolutions: two output channels by four pixels at a time, 13 instructions for 128 products.

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
_UNROLLED = 12
"""Blocks of input channels up to which a kernel has no loop over them."""
_ROUNDS = range(4, 9)
"""Blocks in a round of that loop."""
_SMALL = 2
"""Blocks of input channels up to which kernels make eight output channels in a turn of their loop, where all can."""
_SIGN_SHIFT = -14
"""The least shift for which kernels take the shift itself for the 1 that makes halves of negative numbers go down."""


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


def round_of(blocks: int, tail: int) -> int:
    """Blocks in a round of the loop of a kernel, so that few stand before it; 0 where it has none."""
    if blocks <= _UNROLLED:
        return 0
    return min(_ROUNDS, key=lambda count: ((blocks - (tail > 0) - 1) % count, -count))


def kind_of(finish: Finish) -> str:
    """The way of kernels to finish sums: "any" for shifts that would do too much to negative sums elsewhere."""
    needs_sign = finish.kind in ("linear", "clamped")
    return "any" if needs_sign and (finish.right_shifts < _SIGN_SHIFT).any() else finish.kind


def kernel(
    inputs: int,
    lanes: int,
    outputs: int,
    finish: Finish,
    emitter: Emitter,
    *,
    window: bool = False,
    apart: bool = False,
) -> str:
    """Name, without the prefix, of the kernel for so many inputs a pixel, or for patches of a window of so many.

    apart: all pixels of a group are different ones, so that another one stands behind each but the last.
    """
    blocks, tail = -(-inputs // BLOCK), inputs % BLOCK
    round = round_of(blocks, tail)
    before = (blocks - (tail > 0) - 1) % round if round else 0
    fours = 2 if blocks <= _SMALL and outputs % (2 * FOUR) == 0 else 1
    masks_last = apart and BLOCK // 2 <= inputs < BLOCK
    kind = kind_of(finish)
    parts = (
        "helium_window" if window else "helium_pointwise",
        (f"loop{round}_{before}" if round else str(blocks))
        + (f"t{tail}" if tail else "")
        + ("a" if masks_last else ""),
        f"{lanes}x{fours * FOUR}",
        finish.name if kind == finish.kind else kind,
    )
    values = {
        "blocks": blocks,
        "tail": tail,
        "round": round,
        "before_loop": before,
        "window": int(window),
        "fours": fours,
        "apart": int(masks_last),
    }
    name = "_".join(parts)
    emitter.kernel("helium/pointwise_kernel", name, pixels=lanes, kind=kind, shift=finish.shift, **values)
    return name


def shape(groups: Groups, inputs: int, outputs: int, finish: Finish, emitter: Emitter, step: int | None = None) -> str:
    """C text of the address of the struct `pixels`. step: bytes between pixels of the input, where not `inputs`."""
    others = [min(pixel, groups.pixels - 1) for pixel in (1, 2, 3)]
    blocks, tail = -(-inputs // BLOCK), inputs % BLOCK
    round = round_of(blocks, tail)
    step = inputs if step is None else step
    return emitter.shape(
        "pixels",
        groups.count,
        outputs // FOUR,
        *(pixel * step for pixel in others),
        groups.pixels * step,
        *(pixel * outputs for pixel in others),
        (groups.pixels - 1) * outputs,
        finish.zero,
        (blocks - (tail > 0) - 1) // round if round else 0,
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

    The last block of several ends with the inputs, its weights of those in the block before are zeros. Kernels with
    a loop go over the blocks of the second pair from the last one back. Zeros fill the last four.
    """
    inputs, outputs = taps.shape
    blocks, whole = -(-inputs // BLOCK), filled(outputs)
    padded = np.zeros((whole, blocks * BLOCK), np.int8)
    first = (blocks - 1) * BLOCK
    padded[:outputs, :first] = taps.T[:, :first]
    last = inputs - first if blocks == 1 else BLOCK
    padded[:outputs, first + (blocks > 1) * (BLOCK * blocks - inputs) : first + last] = taps.T[:, first:]
    order = np.arange(whole).reshape(-1, 2, 2).swapaxes(1, 2).reshape(-1, 2)
    weights = padded[order].reshape(-1, 2, blocks, BLOCK).swapaxes(1, 2)
    if round_of(blocks, inputs % BLOCK):
        weights[1::2] = weights[1::2, ::-1].copy()
    # Those that are not "any" look at the lowest byte of a shift alone, and multiply by it.
    shifts = finish.shifts if kind_of(finish) == "any" else finish.shifts & 255
    columns = (finish.bias, finish.multiplier) if finish.kind == "steps" else (finish.bias, finish.multiplier, shifts)
    constants = np.stack([np.pad(as_words(column), (0, whole - outputs))[order] for column in columns], axis=1)
    words = np.ascontiguousarray(weights.reshape(len(order), -1)).view(np.int32)
    return np.concatenate([words, constants.reshape(len(order), -1)], axis=1).reshape(-1)
