"""Turns of the Helium kernels: assembly, told its sizes by constant structs."""

from __future__ import annotations

import re
from math import prod

from mnetdsl.backends.c.ops.window import window_of
from mnetdsl.backends.c.trips.site import Site, by_elements, taken, taps_of
from mnetdsl.cost.instructions import Work
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

_LANES = 16
_ROUNDS = 11
"""Of the struct of sizes, the number of rounds of the loop over inputs."""
_KERNEL = re.compile(r"helium_(pointwise|window)_(loop)?[\d_]+(t?)\d*(a?)_(\d)x(\d)_([a-z]+)\d*$")
_DEPTHWISE = re.compile(r"helium_depthwise_(\d)_(\d)_([a-z]+)\d*_([a-z]+)\d*$")
_MAP = re.compile(r"helium_depthwise_map_(\d)_\d+[rs]*_([a-z]+)\d*$")
_COLUMNS = {"1": 4, "2": 8}
"""Stride -> columns of outputs that a step makes."""


def _products(kernel: str, sizes: tuple[int, ...], groups: int, calls: int) -> Work:
    """Turns of the pointwise kernel, whose name says what it is made for; `sizes` is its struct."""
    made = _KERNEL.search(kernel)
    if made is None:
        return Work((kernel,), (groups, calls))
    name, looped, tail, apart, lanes, outputs, kind = made.groups()
    fours, rounds, inputs = sizes[1], sizes[_ROUNDS], sizes[-1]
    blocks = -(-inputs // _LANES)
    products = groups * fours
    turns = products * 4 // int(outputs)
    loops = (products * rounds, products * int(bool(tail)), products * int(bool(apart)))
    counted = (products * blocks, *loops, products, turns, groups, groups * min(blocks, 2), calls)
    form = f"helium_{name} {'loop' if looped else 'straight'} {lanes}x{outputs}"
    return Work((f"{form} {kind}", form, f"helium {lanes}"), counted)


def pointwise(site: Site) -> tuple[Work, ...]:
    sizes = site.table(0)
    return (_products(site.function, sizes, sizes[0], 1),)


def window(site: Site) -> tuple[Work, ...]:
    """Lines of the map are copied for each row of outputs, a border beside them."""
    op = site.op
    assert isinstance(op, Conv2d)
    _, rows, width, _ = op.type.shape
    pitch = int(site.arguments[7])
    calls = rows * (int(width >= 4) + int(width % 4 > 0))
    products = _products(site.arguments[0], site.table(1), rows * -(-width // 4), calls)
    inside = sum(taken(window_of(op).rows))
    beside = rows * op.filter.type.shape[0] - inside
    vectors = -(-op.input.type.shape[2] * op.input.type.shape[3] // _LANES)
    copied = (inside * vectors, inside, beside * pitch, rows, op.filter.type.shape[0] * pitch, 1)
    return products, Work(("helium_window",), copied)


def conv2d(site: Site) -> tuple[Work, ...]:
    op = site.op
    assert isinstance(op, Conv2d)
    table = site.table(1)
    patches, rows = site.numbers(7, 9)
    outputs = op.type.shape[2]
    whole, rest = divmod(outputs, patches)
    counts = [patches] * whole + ([rest] if rest else [])
    calls = rows * sum(int(count >= 4) + int(count % 4 > 0) for count in counts)
    groups = rows * sum(-(-count // 4) for count in counts)
    products = _products(site.arguments[0], table, groups, calls)
    found = taps_of(window_of(op))
    taps = prod(op.filter.type.shape[:3])
    border = (found.border, found.border * taps, found.border * op.filter.type.shape[0])
    return products, Work(("helium_conv2d",), (found.inside, *border, rows * len(counts), rows, 1))


def depthwise(site: Site) -> tuple[Work, ...]:
    op = site.op
    made = _DEPTHWISE.match(site.function)
    assert isinstance(op, DepthwiseConv2d)
    if made is None:
        return by_elements(site)
    size, stride, edge, kind = made.groups()
    height, width, channels = op.type.shape[1:]
    steps = width // _COLUMNS[stride]
    lines = 2 if stride == "1" else 1
    rows = -(-height // lines)
    single = int(lines == 2 and height % 2)
    blocks = -(-channels // _LANES)
    copied = blocks * (rows + int(size) // 2)
    quads = -(-((width - 1) * int(stride) + int(size)) // 2)
    partial = int(channels % _LANES > 0) * rows
    sizes = (
        channels * rows * steps,
        channels * rows * int(edge == "half"),
        channels * rows * int(edge == "any"),
        channels * single * steps,
        channels * rows,
        copied * quads,
        copied,
        blocks * rows,
        partial,
        rows,
        blocks,
        1,
    )
    form = f"helium_depthwise {size}/{stride}"
    return (Work((f"{form} {kind}", form), sizes),)


def depthwise_map(site: Site) -> tuple[Work, ...]:
    """All rows of a channel in turn, behind the quads of the whole map."""
    op = site.op
    made = _MAP.match(site.function)
    assert isinstance(op, DepthwiseConv2d)
    if made is None:
        return by_elements(site)
    stride, kind = made.groups()
    height, width, channels = op.type.shape[1:]
    lines = 2 if stride == "1" else 1
    rows, single = divmod(height, lines)
    gathers = -(-width * lines // _COLUMNS[stride])
    blocks = -(-channels // _LANES)
    quads = (rows + single + 1) * (-(-width // lines) + 1)
    sizes = (
        channels * rows * gathers,
        channels * rows,
        channels * single * gathers,
        channels * single,
        channels,
        blocks * quads,
        blocks * (rows + single + 1),
        blocks,
        1,
    )
    return (Work((f"helium_depthwise_map {stride} {kind}", f"helium_depthwise_map {stride}"), sizes),)


def elementwise(site: Site) -> tuple[Work, ...]:
    count, repeats = site.table(0)[:2]
    turns = repeats * -(-count // _LANES)
    return (Work((site.function,), (turns, repeats * -(-count // 4), repeats, 1)),)


def mean(site: Site) -> tuple[Work, ...]:
    pixels, channels = site.numbers(-2, len(site.arguments))
    blocks = -(-channels // _LANES)
    return (Work((site.function,), (pixels * blocks, blocks, -(-channels // 4), 1)),)


def bytewise(site: Site) -> tuple[Work, ...]:
    return (Work((site.function,), (-(-int(site.arguments[3 if len(site.arguments) > 3 else 2]) // _LANES), 1)),)


RULES = {
    "helium_pointwise": pointwise,
    "helium_conv2d": conv2d,
    "helium_window": window,
    "helium_depthwise": depthwise,
    "helium_depthwise_map": depthwise_map,
    "helium_add": elementwise,
    "helium_sub": elementwise,
    "helium_mul": elementwise,
    "helium_mean": mean,
    "helium_lookup": bytewise,
    "helium_copy": bytewise,
}
