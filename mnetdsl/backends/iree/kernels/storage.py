"""How maps between layers are stored: float32, or bfloat16 where that is asked for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mnetdsl.backends.iree.kernels.bfloat import NAME
from mnetdsl.backends.iree.kernels.isa import Bfloat, Isa
from mnetdsl.ir.core import Graph, Value

F32 = "f32"
TILED = 32
"""Channels that maps in bfloat16 are padded to a multiple of: the depth of a tile."""


@dataclass(frozen=True)
class Storage:
    """Maps are stored as `element`, as MLIR writes it, their channels padded to a multiple of `multiple`; those in
    `exact` always as float32. `bfloat` is None for float32."""

    element: str
    multiple: int
    bfloat: Bfloat | None = None
    exact: frozenset[Value] = frozenset()

    def element_of(self, value: Value) -> str:
        return F32 if value in self.exact else self.element


def simt_storage() -> Storage:
    """For kernels of scalar invocations, whose tiles are as deep as those of bfloat16."""
    return Storage(F32, TILED)


def storage_of(isa: Isa, bfloat: Bfloat | None, graph: Graph, results: Collection[Value]) -> Storage:
    """`results` are values that the function returns: they are not rounded."""
    if bfloat is None:
        return Storage(F32, isa.lanes)
    exact = set(results)
    for op in reversed(graph.operations):
        if op.opcode == "reshape" and op.result in exact:
            exact.add(op.operands[0])
    return Storage(NAME, TILED, bfloat, frozenset(exact))
