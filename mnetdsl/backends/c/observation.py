"""Which layers of generated C show the results of which operations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c import CPackage
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.plan.storage import storage_root

Array = NDArray[np.generic]


def wanted_operations(module: Module, names: Collection[str]) -> dict[str, Op]:
    """The last operation of each name, in the order of the graph. Raises `KeyError` for a layer that is not there."""
    found = {op.name: op for op in module.graph.operations if op.name in names and op.opcode != "constant"}
    for name in names:
        found[name]
    return found


def showing_layers(operations: Sequence[Op | None], wanted: Mapping[str, Op]) -> dict[int, list[str]]:
    """Wanted names by the layer whose memory holds their elements: a reshape shows what it reads."""
    layer_of = {op.result: index for index, op in enumerate(operations) if op is not None}
    sources: dict[int, list[str]] = {}
    for name, op in wanted.items():
        layer = layer_of.get(storage_root(op.result))
        if layer is not None:
            sources.setdefault(layer, []).append(name)
    return sources


def whole_layers(package: CPackage, wanted: Mapping[str, Op]) -> dict[str, Op]:
    """Wanted operations of whose results all is made: by rows, what nobody reads is not."""
    rows = package.program.rows
    if rows is None:
        return dict(wanted)
    partial = {
        name
        for layer, names in showing_layers(package.operations, wanted).items()
        for name in names
        if rows.made.get(layer, wanted[name].type.byte_size) < wanted[name].type.byte_size
    }
    return {name: op for name, op in wanted.items() if name not in partial}


def shown_inputs(module: Module, wanted: Mapping[str, Op]) -> dict[str, str]:
    """Wanted names -> input ports whose elements they are: reshapes of an input."""
    ports = {port.value: port.name for port in module.graph.inputs}
    roots = {name: storage_root(op.result) for name, op in wanted.items()}
    return {name: ports[root] for name, root in roots.items() if root in ports}


def empty_result(value: Value, batch: int) -> Array:
    """Memory for `batch` results."""
    return np.empty((batch, *value.type.shape[1:]), value.type.element.dtype)
