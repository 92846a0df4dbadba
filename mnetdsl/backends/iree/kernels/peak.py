"""What the processor could do: multiply-adds on registers alone, the mark that networks are held to."""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, func

from mnetdsl.backends.iree.kernels.executables import Buffer, Executables, Grid
from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.language import (
    Memory,
    MlirValue,
    Position,
    accumulate,
    filled,
    multiply_add,
    vector_type,
)

CHAINS = 12
"""Independent sums: enough for two multiply-adds a cycle that take five each, and few enough for 16 registers."""
WORKGROUPS = 64
FUNCTION = "main"


@dataclass(frozen=True)
class Peak:
    """`rounds` times `CHAINS` multiply-adds of vectors a workgroup. input [lanes], output [WORKGROUPS * lanes]."""

    lanes: int
    rounds: int

    @property
    def name(self) -> str:
        return f"peak_{self.rounds}"

    @property
    def macs(self) -> int:
        """Multiply-adds of one run."""
        return WORKGROUPS * self.rounds * CHAINS * self.lanes

    @property
    def grid(self) -> Grid:
        return WORKGROUPS, 1

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.lanes),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(WORKGROUPS * self.lanes),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        factor = source.vector(0, self.lanes)
        initial = [filled(float(chain), vector_type(self.lanes)) for chain in range(CHAINS)]

        def step(_: Position, sums: list[MlirValue]) -> list[MlirValue]:
            return [multiply_add(sum, factor, factor) for sum in sums]

        total, *others = accumulate(0, self.rounds, initial, step)
        for other in others:
            total = arith.addf(total, other)
        target.store(total, group[0] * self.lanes)


def peak_module(isa: Isa, rounds: int) -> tuple[str, Peak]:
    """The MLIR text of a function that runs `Peak` once."""
    kernel = Peak(isa.lanes, rounds)
    with mlir.Context(), mlir.Location.name(kernel.name):
        built = mlir.Module.create()
        types = [buffer.type for buffer in kernel.inputs], [buffer.type for buffer in kernel.outputs]
        with mlir.InsertionPoint(built.body):
            function = func.FuncOp(FUNCTION, mlir.FunctionType.get(*types))
        block = function.add_entry_block()
        with mlir.InsertionPoint(block):
            func.ReturnOp(Executables(built.body).dispatch(kernel, list(block.arguments)))
        built.operation.verify()
        return str(built), kernel
