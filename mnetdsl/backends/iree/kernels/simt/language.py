"""Beside `kernels.language`: what kernels of scalar invocations say more. `emit` builds the work of one invocation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, gpu, memref, scf

from mnetdsl.backends.iree.kernels.executables import Grid
from mnetdsl.backends.iree.kernels.language import Index, Memory, MlirValue, Position, as_value

THREADS = 64
"""Invocations of a workgroup: half of what every Vulkan device has."""

WIDEST = 32768
"""Workgroups along the first dimension of `elements_grid`: devices have at least 65,535 along each."""


def thread() -> Index:
    """Which invocation of its workgroup this is."""
    return Index(gpu.thread_id(gpu.Dimension.x))


def barrier() -> None:
    """All invocations of the workgroup wait here, and see what the others wrote before to shared memory."""
    gpu.barrier()


def shared(size: int, element: Any = None) -> Memory:
    """Memory of the workgroup for `size` values of `element`, None for float32."""
    space = mlir.Attribute.parse("#gpu.address_space<workgroup>")
    type = mlir.MemRefType.get([size], element or mlir.F32Type.get(), memory_space=space)
    return Memory(memref.alloc(type, [], []))


def below(at: Position, end: Position) -> MlirValue:
    """Whether 0 <= `at` < `end`: what lies in front of a map is huge as a number without sign."""
    return arith.cmpi(arith.CmpIPredicate.ult, as_value(at), as_value(end))


@contextmanager
def where_below(at: Position, end: Position) -> Iterator[None]:
    """The body only where 0 <= `at` < `end`."""
    op = scf.IfOp(below(at, end))
    with mlir.InsertionPoint(op.then_block):
        yield
        scf.YieldOp([])


def elements_grid(count: int) -> Grid:
    """Workgroups for one invocation an element."""
    groups = -(-count // THREADS)
    return min(groups, WIDEST), -(-groups // WIDEST)


@contextmanager
def each(group: tuple[Position, Position], count: Position) -> Iterator[Index]:
    """The body once for each of `count` elements, one an invocation of `elements_grid`."""
    at = (group[0] + group[1] * WIDEST) * THREADS + thread()
    with where_below(at, count):
        yield at


def multiplied_and_added(left: MlirValue, right: MlirValue, sum: MlirValue) -> MlirValue:
    """left * right + sum; whether the product is rounded is the driver's choice."""
    return arith.addf(arith.mulf(left, right), sum)
