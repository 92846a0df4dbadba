"""Which layers of stored bytes run as one kernel: runs of layers are cut where the parts take least in sum.

Two threads hand about half of each map from core to core between layers, and wake each other for each layer; a chain
keeps its maps on their core, and in turn makes the rows between bands twice and reads all weights on each core. On one
thread a chain would save no more than a tenth of a microsecond a layer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, prod

from mnetdsl.backends.iree.kernels.cutting import cheapest_cut
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.isa import ByteIsa
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.quantized.kernels.chain import ByteChain, ByteStage, band_rows
from mnetdsl.backends.iree.quantized.kernels.channels import ByteMean
from mnetdsl.backends.iree.quantized.kernels.layers import BYTE_WORKS
from mnetdsl.backends.iree.quantized.kernels.made import ByteLayer, constants
from mnetdsl.backends.iree.quantized.kernels.maps import byte_isa, framing, run
from mnetdsl.backends.iree.quantized.kernels.tables import ByteTable
from mnetdsl.backends.iree.quantized.kernels.tiles import ByteTiles
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Graph, Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.shape import Reshape

LONGEST = 8
"""Layers of a chain."""


@dataclass(frozen=True)
class Costs:
    """Nanoseconds, of which only ratios matter; measured on a Sapphire Rapids with AMX, with AVX-512 VNNI and, in two
    threads, by what joining MobileNetV2 brought.

    output: of a byte that a layer makes, beside its products, with vectors of 16 sums; looked_up: from a table.
    product, tiled: of a product with 64 an instruction, and in tiles. dispatch: of a layer, or a chain. handed: of a
    byte of a map that several threads make and read. streamed: of a byte of weights.
    """

    output: float = 0.09
    looked_up: float = 0.03
    product: float = 0.0045
    tiled: float = 0.0009
    dispatch: float = 1700.0
    handed: float = 0.045
    streamed: float = 0.02


COSTS = Costs()


def find_byte_chains(shop: Workshop, graph: Graph, results: Collection[Value]) -> list[list[Op]]:
    """Runs of layers, each the only reader of the one before; of one alone where its frame is made with it.

    `results` are values that must exist.
    """
    bands = shop.chaining.threads
    if shop.isa.bytes is None or bands == 1:
        return []
    layers: dict[Op, ByteLayer] = {}
    for op in graph.operations:
        if op.opcode in BYTE_WORKS and op.type.quantization is not None:
            layer = BYTE_WORKS[op.opcode](shop, op, None)
            if not isinstance(layer, Unsuitable):
                layers[op] = layer

    def ways(part: Sequence[ByteLayer]) -> list[tuple[Sequence[ByteLayer], float]]:
        return [(part, _time(part, bands, byte_isa(shop)))] if len(part) <= LONGEST else []

    chains: list[list[Op]] = []
    taken: set[Op] = set()
    for op, layer in layers.items():
        if op in taken:
            continue
        line = [layer]
        while (reader := _reader(line[-1], layers, results)) is not None and reader.op not in taken:
            line.append(reader)
        taken.update(each.op for each in line)
        for part in cheapest_cut(line, ways):
            if len(part) > 1 or _joined(part, bands, byte_isa(shop)) < _alone(part[0], bands, byte_isa(shop)):
                chains.append(_ops(part))
    return chains


def _reader(layer: ByteLayer, layers: dict[Op, ByteLayer], results: Collection[Value]) -> ByteLayer | None:
    """The only layer behind `layer`, where it may read the rows that are made as they are."""
    value = layer.op.result
    if value in results or len(value.users) != 1:
        return None
    (user,) = value.users
    if _renames(user):
        value = user.result
        if value in results or len(value.users) != 1:
            return None
        (user,) = value.users
    reader = layers.get(user)
    if reader is None or not (layer.joins and reader.joins) or reader.source != layer.row:
        return None
    if reader.inputs.count(value) != 1:
        return None
    return reader if reader.inputs.index(value) < reader.by_rows else None


def _renames(op: Op) -> bool:
    """Whether its result is the same pixel under another shape."""
    if not isinstance(op, Reshape) or op.type.element.byte_width != 1:
        return False
    before, after = op.input.type.shape, op.type.shape
    return prod(before) == before[-1] == after[-1] == prod(after)


def _ops(part: Sequence[ByteLayer]) -> list[Op]:
    """The layers, with what renames the result of one for the next."""
    found = [part[0].op]
    for before, layer in pairwise(part):
        if layer.op not in before.op.result.users:
            found += before.op.result.users
        found.append(layer.op)
    return found


def _time(part: Sequence[ByteLayer], bands: int, isa: ByteIsa) -> float:
    """Nanoseconds until all threads, one a band, have done the layers."""
    joined = _joined(part, bands, isa)
    return joined if len(part) > 1 else min(joined, _alone(part[0], bands, isa))


def _alone(layer: ByteLayer, bands: int, isa: ByteIsa) -> float:
    """By the layer's own kernel, behind that of its frame."""
    total = COSTS.dispatch + COSTS.handed * _given(layer) + _work(layer, isa) / bands
    if layer.frame is not None:
        bytes = layer.window.size[0] * layer.pitch
        total += COSTS.dispatch + bytes * (COSTS.handed + COSTS.looked_up / bands)
    return total


def _joined(part: Sequence[ByteLayer], bands: int, isa: ByteIsa) -> float:
    """As one kernel."""
    total = COSTS.dispatch + COSTS.handed * _given(part[0])
    if len(part) == 1 and part[0].frame is None:
        return inf
    windows = [window for layer in part for window in layer.windows]
    rows = iter(band_rows(windows, min(bands, windows[-1].outputs[0])))
    for layer in part:
        if layer.frame is not None:
            total += COSTS.looked_up * layer.pitch * next(rows)
        total += _work(layer, isa) * next(rows) / layer.window.outputs[0]
        total += COSTS.streamed * _weights(layer.op) * (1 - 1 / bands)
    return total


def _given(layer: ByteLayer) -> int:
    """Bytes of its maps."""
    return layer.by_rows * layer.windows[0].size[0] * layer.source


def _work(layer: ByteLayer, isa: ByteIsa) -> float:
    """Nanoseconds of the whole layer on one thread."""
    op, kernel = layer.op, layer.kernel
    outputs = layer.window.outputs[0] * layer.row
    if isinstance(kernel, ByteTable):
        return outputs * COSTS.looked_up
    if isinstance(kernel, ByteMean):
        return prod(layer.window.size) * layer.row * COSTS.looked_up
    each = COSTS.output * 16 / isa.lanes
    if isinstance(op, Conv2d | Dense | DepthwiseConv2d):
        products = prod(layer.window.kernel) * (1 if isinstance(op, DepthwiseConv2d) else op.filter.type.shape[-2])
        at_once = isa.lanes * 4 // len(isa.order) // isa.split
        each += products * (COSTS.tiled if isinstance(kernel, ByteTiles) else COSTS.product * 64 / at_once)
    return outputs * each


def _weights(op: Op) -> int:
    """Bytes."""
    return prod(op.filter.type.shape) if isinstance(op, Conv2d | Dense | DepthwiseConv2d) else 0


def join_bytes(shop: Workshop, ops: Sequence[Op]) -> str:
    """Layers of `find_byte_chains` as one kernel; the last one's result is bound. Returns the kernel's name."""
    layers = [_layer(shop, op, None) for op in ops if not _renames(op)]
    windows = [window for layer in layers for window in layer.windows]
    bands = min(shop.chaining.threads, windows[-1].outputs[0])
    rows = iter(band_rows(windows, bands))
    stages: list[ByteStage] = []
    arguments: list[MlirValue] = []
    for layer in layers:
        if layer.frame is not None:
            frame = layer.frame
            if not stages:
                source, frame = framing(shop, layer.inputs[0], layer.pitch // layer.window.size[1], frame)
                arguments.append(source)
            size = frame.height * frame.row
            stages.append(ByteStage(frame, layer.windows[0], next(rows), frame.row, layer.pitch, size, 1, 0))
        count = next(rows)
        some = _layer(shop, layer.op, count)
        place = _place(layer, ops) if stages else None
        size = layer.window.size[0] * layer.pitch
        stages.append(
            ByteStage(some.kernel, layer.window, count, layer.pitch, layer.row, size, layer.by_rows, place or 0)
        )
        arguments += [emit() for at, emit in enumerate(some.maps) if at != place]
        arguments += constants(shop, some)
    last = layers[-1]
    kernel = ByteChain(tuple(stages), bands)
    return run(shop, last.op, kernel, arguments, last.row // last.window.outputs[1])


def _place(layer: ByteLayer, ops: Sequence[Op]) -> int:
    """Which of the layer's inputs one of `ops` makes; the first where none does, which then is in the frame before."""
    return next((at for at, value in enumerate(layer.inputs) if value.producer in ops), 0)


def _layer(shop: Workshop, op: Op, rows: int | None) -> ByteLayer:
    layer = BYTE_WORKS[op.opcode](shop, op, rows)
    assert isinstance(layer, ByteLayer)
    return layer
