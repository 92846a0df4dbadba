"""The walk over a module's operations that all exporters make."""

from __future__ import annotations

from collections.abc import Callable, Container, MutableMapping
from typing import Any

from numpy.typing import NDArray

from mnetdsl.exporters.problems import NotInFormatError, no_weights, not_in_format
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant


def write_layers(
    module: Module,
    format: str,
    known: Container[str],
    skipped: Container[Op],
    arrays: MutableMapping[Value, NDArray[Any]],
    write: Callable[[Op], None],
) -> None:
    """Puts constants into `arrays` and gives all other operations but `skipped` to `write`, in their order.

    known: the opcodes that `write` takes; it may raise `NotInFormatError`. Raises `MnetError`: MN2101 for an operation
    that `format` has not, MN0720 without weights.
    """
    for op in module.graph.operations:
        if op in skipped:
            continue
        if isinstance(op, Constant):
            if op.resource not in module.resources:
                raise no_weights(module.name, op.resource)
            arrays[op.result] = module.resources[op.resource]
            continue
        try:
            if op.opcode not in known:
                raise NotInFormatError("it has no such operator", "write this part of the network in other operations")
            write(op)
        except NotInFormatError as problem:
            raise not_in_format(op, format, problem) from None
