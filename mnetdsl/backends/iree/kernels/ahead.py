"""Which weights a layer asks for while it computes: those of the layers behind it, on one thread.

A core reads weights from memory or the shared cache at a rate of its own, whatever it computes meanwhile. A pointwise
layer's loops have room for asking, so that the next one finds its weights, and those of layers between, in the core's
own cache. Constants lie in a module in the order in which its layers use them: what comes next is a distance away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

from mnetdsl.backends.iree.kernels.filters import Constants, Unsuitable, describe
from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.pointwise import LINE, MANY_ROWS, Upcoming
from mnetdsl.ir.core import Graph, Op
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Asking:
    """What a layer asks for, if anything, and whether the layer before has asked for all of its own weights."""

    upcoming: Upcoming | None = None
    near: bool = False


@dataclass(frozen=True)
class _Reading:
    """A layer that reads `size` elements of constants, and `maps` of maps."""

    op: Op
    size: int
    maps: int
    pixels: int | None
    """Of a pointwise layer that is a kernel of its own."""


def find_asking(graph: Graph, constants: Constants, isa: Isa, joined: Collection[Op]) -> Mapping[Op, Asking]:
    """Of the layers of `graph` that ask or are asked for. `joined` ones, which are parts of a kernel, never ask."""
    found: dict[Op, Asking] = {}
    run: list[_Reading] = []
    for op in graph.operations:
        if op.opcode == "constant":
            continue
        reading = _reading(op, constants, isa, joined)
        if reading is not None:
            run.append(reading)
        elif any(constants(operand) is not None for operand in op.operands):
            found |= _along(run, isa)
            run = []
    return found | _along(run, isa)


def _reading(op: Op, constants: Constants, isa: Isa, joined: Collection[Op]) -> _Reading | None:
    if not isinstance(op, Conv2d | DepthwiseConv2d | Dense) or not op.type.element.is_float:
        return None
    filter = describe(op, constants)
    if isinstance(filter, Unsuitable):
        return None
    channels = padded_size(filter.weights.shape[-1], isa.lanes)
    weights = filter.weights[..., 0].size * channels
    (height, width), (rows, columns) = filter.window.size, filter.window.outputs
    maps = height * width * filter.input.type.shape[-1] + rows * columns * channels
    pixels = rows * columns if filter.kind == "pointwise" and op not in joined else None
    return _Reading(op, padded_size(weights, LINE) + padded_size(channels, LINE), maps, pixels)


def _along(run: list[_Reading], isa: Isa) -> dict[Op, Asking]:
    """Of layers whose constants lie one behind the other: a pointwise one asks for all up to the next one of that kind,
    if everything has room in the cache. Of a dense layer's weights, which it reads once, it asks for a part."""
    found: dict[Op, Asking] = {}
    pointwise = [index for index, reading in enumerate(run) if reading.pixels is not None]
    near = False
    for index, following in pairwise(pointwise):
        layer, next = run[index], run[following]
        wanted = sum(reading.size for reading in run[index + 1 : following + 1])
        room = isa.cache // FLOAT_BYTES
        most = min(room // 2, room - layer.maps - layer.size)
        able = layer.pixels is not None and 1 < layer.pixels < MANY_ROWS and layer.size <= room // 2
        size = wanted if wanted <= most else most if next.pixels == 1 else 0
        upcoming = Upcoming(layer.size, size) if able and size > 0 else None
        found[layer.op] = Asking(upcoming, near)
        near = upcoming is not None and size == wanted
    return found
