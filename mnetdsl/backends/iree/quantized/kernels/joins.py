"""Which layers of stored bytes run as one kernel: runs of layers are cut where the parts take least in sum.

Two threads hand about half of each map from core to core between layers, and wake each other for each layer; a chain
keeps its maps on their core, and in turn makes the rows between bands twice and reads all weights on each core. On one
thread a chain would save no more than a tenth of a microsecond a layer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod

from mnetdsl.backends.iree.kernels.cutting import cheapest_cut
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.isa import ByteIsa
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.quantized.kernels.chain import ByteChain, ByteStage, band_rows
from mnetdsl.backends.iree.quantized.kernels.channels import ByteMean
from mnetdsl.backends.iree.quantized.kernels.layers import BYTE_WORKS
from mnetdsl.backends.iree.quantized.kernels.made import ByteLayer, constants
from mnetdsl.backends.iree.quantized.kernels.maps import byte_isa, run
from mnetdsl.backends.iree.quantized.kernels.tables import ByteTable
from mnetdsl.backends.iree.quantized.kernels.tiles import ByteTiles
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Graph, Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

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
    """Runs of two or more layers, each the only reader of the one before. `results` are values that must exist."""
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
        chains += [[each.op for each in part] for part in cheapest_cut(line, ways) if len(part) > 1]
    return chains


def _reader(layer: ByteLayer, layers: dict[Op, ByteLayer], results: Collection[Value]) -> ByteLayer | None:
    """The only layer behind `layer`, where it may read the rows that are made as they are."""
    value = layer.op.result
    if value in results or len(value.users) != 1:
        return None
    (user,) = value.users
    reader = layers.get(user)
    if reader is None or not reader.follows or reader.pitch != layer.row or reader.inputs.count(value) != 1:
        return None
    return reader if reader.inputs.index(value) < reader.by_rows else None


def _time(part: Sequence[ByteLayer], bands: int, isa: ByteIsa) -> float:
    """Nanoseconds until all threads, one a band, have done the layers as one kernel, or the layer as it is."""
    first = part[0]
    total = COSTS.dispatch + COSTS.handed * first.by_rows * first.window.size[0] * first.pitch
    if len(part) == 1:
        return total + _work(first, isa) / bands
    rows = band_rows([layer.window for layer in part], min(bands, part[-1].window.outputs[0]))
    for layer, count in zip(part, rows, strict=True):
        total += _work(layer, isa) * count / layer.window.outputs[0]
        total += COSTS.streamed * _weights(layer.op) * (1 - 1 / bands)
    return total


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


def join_bytes(shop: Workshop, layers: Sequence[Op]) -> str:
    """Layers of `find_byte_chains` as one kernel; the last one's result is bound. Returns the kernel's name."""
    whole = [_layer(shop, op, None) for op in layers]
    bands = min(shop.chaining.threads, whole[-1].window.outputs[0])
    stages: list[ByteStage] = []
    arguments: list[MlirValue] = []
    before: Value | None = None
    for each, count in zip(whole, band_rows([each.window for each in whole], bands), strict=True):
        layer = _layer(shop, each.op, count)
        place = layer.inputs.index(before) if before is not None else 0
        size = each.kernel.inputs[0].size
        stages.append(ByteStage(layer.kernel, each.window, count, layer.pitch, layer.row, size, layer.by_rows, place))
        arguments += [emit() for at, emit in enumerate(layer.maps) if before is None or at != place]
        arguments += constants(shop, layer)
        before = each.op.result
    last = whole[-1]
    kernel = ByteChain(tuple(stages), bands)
    return run(shop, last.op, kernel, arguments, last.row // last.window.outputs[1])


def _layer(shop: Workshop, op: Op, rows: int | None) -> ByteLayer:
    layer = BYTE_WORKS[op.opcode](shop, op, rows)
    assert isinstance(layer, ByteLayer)
    return layer
