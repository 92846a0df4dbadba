"""Which layers run as one kernel: those between which a map would take half of a core's own cache, or more."""

from __future__ import annotations

from collections.abc import Collection

from mnetdsl.backends.iree.kernels.filters import Constants, Filter, Unsuitable, describe
from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.ir.core import Graph, Op, Value

STREAMED = 70 * 1024
"""Bytes of a layer's weights up to which it may be in a chain: it reads them again for each row."""

HALOS = 2
"""Layers of a chain, behind its first, that read rows around their own: each deepens the halo of all before it."""

OPCODES = ("conv2d", "depthwise_conv2d")


def find_chains(graph: Graph, constants: Constants, isa: Isa, results: Collection[Value]) -> list[list[Op]]:
    """Runs of two or more layers, each the only reader of the one before. `results` are values that must exist."""
    suitable: dict[Op, Filter] = {}
    for op in graph.operations:
        if op.opcode in OPCODES and op.type.element.is_float:
            described = describe(op, constants)
            if not isinstance(described, Unsuitable) and described.weights.nbytes <= STREAMED:
                suitable[op] = described
    chains: list[list[Op]] = []
    joined: set[Op] = set()
    for op in suitable:
        if op in joined:
            continue
        chain = [op]
        while (reader := _next(chain[-1], suitable, isa, results)) is not None:
            if sum(suitable[each].window.kernel[0] > 1 for each in (*chain[1:], reader)) > HALOS:
                break
            chain.append(reader)
        if len(chain) > 1:
            chains.append(chain)
            joined.update(chain)
    return chains


def _next(op: Op, suitable: dict[Op, Filter], isa: Isa, results: Collection[Value]) -> Op | None:
    """The layer that continues a chain behind `op`."""
    _, height, width, channels = op.type.shape
    size = height * width * padded_size(channels, isa.lanes) * op.type.element.byte_width
    if 2 * size < isa.cache or op.result in results or len(op.result.users) != 1:
        return None
    (reader,) = op.result.users
    filter = suitable.get(reader)
    if filter is None or filter.input is not op.result or suitable[op].residual is not None:
        return None
    top, kernel, stride = filter.window.padding[0], filter.window.kernel[0], filter.window.strides[0]
    return reader if top < kernel and stride <= kernel else None
