"""The part of a network that engines are compared on."""

from __future__ import annotations

from mnetdsl.ir.clone import clone
from mnetdsl.ir.core import Module, Port, Value
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.ir.rewriter import Rewriter


def behind_preprocessing(module: Module) -> Module:
    """A copy whose inputs are the normalized images, float32, where `module` normalizes them itself.

    Other engines are usually given images that were normalized before, and are slow at it: nobody is measured on it.
    """
    result = clone(module)
    rewriter = Rewriter(result.graph)
    ports: list[Port] = []
    for port in result.graph.inputs:
        readers = [op for op in port.value.users if isinstance(op, Normalize)]
        if not readers or len(readers) != len(port.value.users):
            ports.append(port)
            continue
        for op in readers:
            name = port.name if len(readers) == 1 else f"{port.name}_{len(ports)}"
            replaced = Port(name, Value(op.type), {}, port.location)
            rewriter.replace_with_value(op, replaced.value)
            ports.append(replaced)
    result.graph.inputs[:] = ports
    return result
