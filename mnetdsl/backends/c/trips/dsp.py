"""Turns of the kernels for the DSP extension: assembly, so that a turn takes the same instructions in every layer."""

from __future__ import annotations

import re

from mnetdsl.backends.c.ops.window import window_of
from mnetdsl.backends.c.quantized.dsp.pointwise import BLOCK, UNIT, unrolled_blocks
from mnetdsl.backends.c.quantized.dsp.vector import OUTPUTS, UNROLLED
from mnetdsl.backends.c.trips.site import Site, taps_of
from mnetdsl.cost.instructions import Work
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

_LARGEST_STEP = 255
"""Channels up to which a store moves its address on by itself."""
_DEPTHWISE = re.compile(r"dsp_depthwise(\d)_(\d)_\d+x\d+_([a-z]+)")


def _finish(kernel: str) -> str:
    """`steps` or `exact`, by the kernel's name."""
    return "exact" if kernel.endswith("_exact") else "steps"


def _units(pixels: int) -> tuple[int, int]:
    """Threes of pixels with those behind them one by one, and calls of the kernel."""
    whole, rest = divmod(pixels, UNIT)
    return whole + rest, int(whole > 0) + int(rest > 0)


def _products(kernel: str, units: int, calls: int, inputs: int, outputs: int) -> Work:
    """Turns of the pointwise kernel."""
    blocks, pairs = inputs // BLOCK, outputs // 2
    unrolled, turns = unrolled_blocks(inputs)
    looped = units * pairs if turns > 1 else 0
    expanded = blocks // 2 if unrolled % 2 == 0 else blocks
    sizes = (units * pairs * blocks, looped * turns, looped, units * pairs, units * blocks, units * expanded, units)
    return Work((f"dsp_pointwise {_finish(kernel)}", "dsp_pointwise"), (*sizes, calls))


def pointwise(site: Site) -> tuple[Work, ...]:
    pixels, inputs, outputs = site.numbers(6, 9)
    return (_products(site.arguments[0], *_units(pixels), inputs, outputs),)


def vector(site: Site) -> tuple[Work, ...]:
    assert site.op is not None
    outputs = int(site.arguments[6])
    inputs = site.op.operands[0].type.elements
    blocks, quads = inputs // BLOCK, -(-outputs // OUTPUTS)
    turns = unrolled_blocks(inputs, UNROLLED)[1]
    calls = 1 + int(outputs % OUTPUTS > 0) - int(outputs < OUTPUTS)
    sizes = (quads * blocks, quads * turns if turns > 1 else 0, quads, calls * blocks, calls, outputs % OUTPUTS, 1)
    return (Work((f"dsp_vector {_finish(site.arguments[0])}", "dsp_vector"), sizes),)


def window(site: Site) -> tuple[Work, ...]:
    op = site.op
    assert isinstance(op, Conv2d)
    found = taps_of(window_of(op))
    patch, batch = site.numbers(10, 12)
    whole, rest = divmod(found.pixels, batch)
    units, calls = (whole * a + b for a, b in zip(_units(batch), _units(rest), strict=True))
    taps = op.filter.type.elements // op.type.shape[3]
    gathered = (found.inside, found.border, found.border * taps, whole + int(rest > 0), 1)
    size = "x".join(map(str, op.filter.type.shape[:3]))
    products = _products(site.arguments[2], units, calls, patch, op.type.shape[3])
    return products, Work((f"dsp_window {size}",), gathered)


def depthwise(site: Site) -> tuple[Work, ...]:
    op = site.op
    made = _DEPTHWISE.search(site.arguments[2])
    assert isinstance(op, DepthwiseConv2d)
    assert made is not None
    size, stride, finish = int(made[1]), int(made[2]), made[3][0]
    first, last, rows, batch, _, row_words = site.numbers(9, 15)
    _, height, width, channels = op.input.type.shape
    outputs = op.type.shape[2]
    fours = (last - first) // 4
    lines = (rows - 1) * stride + size
    inside = sum(0 <= line - op.padding[0] < height for line in range(lines))
    far = fours * rows * outputs if channels > _LARGEST_STEP else 0
    straight = fours * rows if outputs <= 8 else 0
    sizes = (
        fours * rows * outputs,
        fours * rows * row_words,
        fours * rows,
        straight,
        far,
        fours * -(-rows // batch),
        fours * inside * width,
        fours * inside,
        fours * (lines - inside) * width,
        fours * lines,
        fours,
        1,
    )
    form = f"dsp_depthwise {size}/{stride}"
    # The exact form is rare, and little slower.
    names = (f"{form} {finish}", *([f"{form} s"] if finish == "e" else []))
    return (Work(names, sizes),)


def elementwise_sum(site: Site) -> tuple[Work, ...]:
    fours, ones = divmod(int(site.arguments[5]), 4)
    return (Work(("dsp_sum",), (fours, ones, 1)),)


def product(site: Site) -> tuple[Work, ...]:
    elements, channels = site.numbers(5, 7)
    return (Work(("dsp_product",), (elements // 4, channels // 4, 1)),)


def bytewise(site: Site) -> tuple[Work, ...]:
    """Sixteen at a time, and what is left one by one."""
    sixteens, ones = divmod(int(site.arguments[-1]), 16)
    return (Work((site.function,), (sixteens, ones, 1)),)


RULES = {
    "dsp_pointwise": pointwise,
    "dsp_vector": vector,
    "dsp_window": window,
    "dsp_depthwise": depthwise,
    "dsp_sum": elementwise_sum,
    "dsp_product": product,
    "dsp_lookup": bytewise,
    "dsp_flip": bytewise,
}
