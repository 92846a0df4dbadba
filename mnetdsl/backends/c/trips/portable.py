"""Turns of the portable integer kernels, which work on panels of 16 output channels and on what is left of one."""

from __future__ import annotations

from mnetdsl.backends.c.ops.elementwise import broadcast_groups
from mnetdsl.backends.c.ops.window import PANEL, window_of
from mnetdsl.backends.c.trips.site import Site, taps_of
from mnetdsl.cost.instructions import Work
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.pool import Pool

_LANES = 4
"""Numbers that loops over channels take at a time, what is left one by one."""


def _weighted_name(site: Site) -> str:
    """Filters of 8-bit signed numbers have no zero point where none is said; with one they have another kernel."""
    assert isinstance(site.op, Conv2d | Dense | DepthwiseConv2d)
    signed = "_u8_" not in site.function
    return f"{site.function} zero" if signed and site.op.filter_zero_point is not None else site.function


def _panels(channels: int) -> tuple[int, int, int, int]:
    """Whole panels, whether one is left, and its turns of four and of one."""
    whole, rest = divmod(channels, PANEL)
    return whole, int(rest > 0), rest // _LANES, rest % _LANES


def pointwise(site: Site) -> tuple[Work, ...]:
    pixels, inputs, outputs = site.numbers(-4, -1)
    whole, rest, fours, ones = _panels(outputs)
    products = pixels * inputs
    sizes = (products * whole, pixels * whole, products * rest, products * fours, products * ones, pixels * rest)
    return (Work((_weighted_name(site),), (*sizes, pixels * (outputs - PANEL * whole), pixels, 1)),)


def conv2d(site: Site) -> tuple[Work, ...]:
    op = site.op
    assert isinstance(op, Conv2d)
    inputs, outputs = op.filter.type.shape[2:]
    found = taps_of(window_of(op))
    whole, rest, fours, ones = _panels(outputs)
    products = found.taps * inputs
    # Taps side by side are one run, unless they are apart.
    runs = found.lines if op.dilations[1] == 1 else found.taps
    full = (products * whole, runs * whole, found.pixels * whole)
    part = (products * rest, products * fours, products * ones, runs * rest, found.pixels * rest)
    last = found.pixels * (outputs - PANEL * whole)
    return (Work((_weighted_name(site),), (*full, *part, last, found.pixels, found.border * (whole + rest), 1)),)


def depthwise(site: Site) -> tuple[Work, ...]:
    op = site.op
    assert isinstance(op, DepthwiseConv2d)
    window, channels = window_of(op), op.type.shape[3]
    found = taps_of(window)
    size = "x".join(map(str, window.kernel))
    blocks, copied = _blocks(site, channels), 0
    if site.function.startswith("depthwise_in_place"):
        copied = op.input.type.elements // op.type.shape[0]
    panels = sum(-(-width // PANEL) for width in blocks)
    fours, ones = (sum(turns) for turns in zip(*(_turns(width) for width in blocks), strict=True))
    rows = op.type.shape[1]
    sizes = (
        found.taps * panels,
        found.taps * fours,
        found.taps * ones,
        found.pixels * panels,
        found.pixels * channels,
        found.pixels * len(blocks),
        found.border * panels,
        rows * len(blocks),
        copied,
        copied // channels * len(blocks),
        1,
    )
    return (Work((f"{_weighted_name(site)} {size}", _weighted_name(site)), sizes),)


def _blocks(site: Site, channels: int) -> list[int]:
    """Channels that are gone over together."""
    if not site.function.startswith("depthwise_in_place"):
        return [channels]
    block = int(site.arguments[5])
    return [min(block, channels - first) for first in range(0, channels, block)]


def _turns(width: int) -> tuple[int, int]:
    whole, _, fours, ones = _panels(width)
    return whole * (PANEL // _LANES) + fours, ones


def multiplied(site: Site) -> tuple[Work, ...]:
    op = site.op
    assert isinstance(op, DepthwiseConv2d)
    found, channels = taps_of(window_of(op)), op.type.shape[3]
    sizes = (found.taps * channels, found.pixels * channels, found.lines * channels, found.pixels, 1)
    return (Work((_weighted_name(site),), sizes),)


def elementwise(site: Site) -> tuple[Work, ...]:
    op = site.op
    assert isinstance(op, Elementwise)
    groups = broadcast_groups(op.left.type.shape, op.right.type.shape)
    inner = groups[-1][0] if groups else 1
    return (Work((site.function,), (op.type.elements, op.type.elements // inner, 1)),)


def pool(site: Site) -> tuple[Work, ...]:
    op = site.op
    assert isinstance(op, Pool)
    found = taps_of(window_of(op))
    fours, ones = divmod(op.type.shape[3], _LANES)
    turns = (found.taps * fours, found.taps * ones, found.lines * (fours + ones))
    sizes = (*turns, found.pixels * fours, found.pixels * ones, found.pixels, 1)
    return (Work((site.function,), sizes),)


def mean(site: Site) -> tuple[Work, ...]:
    pixels, channels = site.numbers(-2, len(site.arguments))
    fours, ones = divmod(channels, _LANES)
    return (Work((site.function,), (pixels * fours, pixels * ones, fours, ones, 1)),)


def lookup(site: Site) -> tuple[Work, ...]:
    assert site.op is not None
    return (Work((site.function, "lookup of bytes"), (site.op.type.elements, 1)),)


def softmax(site: Site) -> tuple[Work, ...]:
    """As many for numbers with a sign as for others."""
    rows, channels = site.numbers(-2, len(site.arguments))
    return (Work((site.function, "softmax of bytes"), (rows * channels, rows)),)


def runs(site: Site) -> tuple[Work, ...]:
    """Runs of bytes that are copied."""
    outer, run = site.numbers(-3, -1)
    return (Work((site.function,), (outer * run, outer, 1)),)


OF_FLOATS = frozenset(
    (
        "pointwise",
        "conv2d",
        "depthwise_conv2d",
        "depthwise_in_place",
        "depthwise_multiplied",
        "add",
        "sub",
        "mul",
        "max_pool",
        "avg_pool",
        "global_avg_pool",
        "softmax",
    )
)
"""Names that kernels of floats have, without elements."""
RULES = {
    "pointwise": pointwise,
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise,
    "depthwise_in_place": depthwise,
    "depthwise_multiplied": multiplied,
    "add": elementwise,
    "sub": elementwise,
    "mul": elementwise,
    "max_pool": pool,
    "avg_pool": pool,
    "global_avg_pool": mean,
    "lookup": lookup,
    "softmax": softmax,
    "move": runs,
    "join": runs,
    "join_wide": runs,
}
