"""Which layers run as one kernel: those between which a large map would lie."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mnetdsl.backends.iree.kernels.blocking import WORKGROUPS
from mnetdsl.backends.iree.kernels.filters import Constants, Filter, Unsuitable, describe
from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.ir.core import Graph, Op, Value


@dataclass(frozen=True)
class Chaining:
    """How eagerly layers are joined, and in how many parts.

    bands: workgroups of a chain, each with a halo of its own. map: bytes of a map from which the layers around it are
    joined, None for half of a core's own cache. streamed: bytes of a layer's weights up to which it may be in a chain:
    it reads them again for each row. workgroups: of a layer, about; setting up tiles takes each of them a while.
    joined: bands of a chain of layers of stored bytes, one a thread; 0 for no such chains.
    """

    bands: int = 4
    map: int | None = None
    streamed: int = 70 * 1024
    workgroups: int = WORKGROUPS
    joined: int = 0

    def joins(self, size: int, isa: Isa) -> bool:
        """Whether a map of `size` bytes is large enough."""
        return size >= min(isa.cache // 2, self.map or isa.cache)


def chaining_for(threads: int | None) -> Chaining:
    """For a module that `threads` threads will run, None where nobody knows.

    Two threads hand half of each map from core to core between layers, which costs them more than a halo: they join
    layers around smaller maps, a band each. With more threads the bands of small maps would be mostly halo.
    """
    if threads is None:
        return Chaining()
    if threads == 2:
        return Chaining(bands=2, map=200 * 1024, streamed=300 * 1024, workgroups=4, joined=2)
    if threads == 1:
        return Chaining(bands=1, workgroups=1)
    return Chaining(bands=threads, joined=threads)


HALOS = 2
"""Layers of a chain, behind its first, that read rows around their own: each deepens the halo of all before it."""

OPCODES = ("conv2d", "depthwise_conv2d")


def find_chains(
    graph: Graph, constants: Constants, isa: Isa, results: Collection[Value], chaining: Chaining
) -> list[list[Op]]:
    """Runs of two or more layers, each the only reader of the one before. `results` are values that must exist."""
    suitable: dict[Op, Filter] = {}
    for op in graph.operations:
        if op.opcode in OPCODES and op.type.element.is_float:
            described = describe(op, constants)
            if not isinstance(described, Unsuitable) and described.weights.nbytes <= chaining.streamed:
                suitable[op] = described
    chains: list[list[Op]] = []
    joined: set[Op] = set()
    for op in suitable:
        if op in joined:
            continue
        chain = [op]
        while (reader := _next(chain[-1], suitable, isa, results, chaining)) is not None:
            if sum(suitable[each].window.kernel[0] > 1 for each in (*chain[1:], reader)) > HALOS:
                break
            chain.append(reader)
        if len(chain) > 1:
            chains.append(chain)
            joined.update(chain)
    return chains


def _next(op: Op, suitable: dict[Op, Filter], isa: Isa, results: Collection[Value], chaining: Chaining) -> Op | None:
    """The layer that continues a chain behind `op`."""
    _, height, width, channels = op.type.shape
    size = height * width * padded_size(channels, isa.lanes) * op.type.element.byte_width
    if not chaining.joins(size, isa) or op.result in results or len(op.result.users) != 1:
        return None
    (reader,) = op.result.users
    filter = suitable.get(reader)
    if filter is None or filter.input is not op.result or suitable[op].residual is not None:
        return None
    top, kernel, stride = filter.window.padding[0], filter.window.kernel[0], filter.window.strides[0]
    return reader if top < kernel and stride <= kernel else None
