"""Own kernels as IREE sees them: a `stream.executable` a kernel beside the function, a `flow.dispatch` a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, flow, func, stream

from mnetdsl.backends.iree.kernels.bfloat import BITS, NAME
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position, workgroup

Grid = tuple[int, int]
"""Workgroups along two dimensions."""


@dataclass(frozen=True)
class Buffer:
    """A flat argument or result of a kernel: `size` values of `element`, as MLIR writes it.

    bfloat16 is bits inside the kernel, which reads and writes it as float32 (`Memory.bfloat`).
    """

    size: int
    element: str = "f32"

    @property
    def type(self) -> Any:
        """As a tensor, outside the kernel."""
        return mlir.RankedTensorType.get([self.size], mlir.Type.parse(self.element))

    @property
    def memory(self) -> Any:
        """As memory, inside it."""
        return mlir.MemRefType.get([self.size], mlir.Type.parse(BITS if self.element == NAME else self.element))


@dataclass(frozen=True)
class Elements:
    """How a kernel's maps are stored; its weights and sums are float32."""

    source: str = "f32"
    target: str = "f32"
    residual: str = "f32"


FLOAT = Elements()


class Kernel(Protocol):
    """A kernel for one shape; equal kernels (they are frozen) share one executable.

    `emit` builds the work of one workgroup; its memories are the inputs, then the outputs.
    """

    @property
    def name(self) -> str: ...
    @property
    def grid(self) -> Grid: ...
    @property
    def inputs(self) -> tuple[Buffer, ...]: ...
    @property
    def outputs(self) -> tuple[Buffer, ...]: ...
    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None: ...


class Simt:
    """Base of kernels whose `emit` builds the work of one of `threads` scalar invocations of a workgroup."""

    threads: ClassVar[int] = 64

    @property
    def lowering(self) -> str:
        """How IREE is to translate it: as it stands."""
        pipeline = "#iree_gpu.pipeline<BaseLowering>"
        return f"#iree_codegen.translation_info<pipeline = {pipeline} workgroup_size = [{self.threads}, 1, 1]>"


class Executables:
    """The executables of a module under construction, in the order of first use."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._symbols: dict[Kernel, str] = {}
        self._names: dict[str, int] = {}

    def dispatch(self, kernel: Kernel, arguments: Sequence[MlirValue]) -> list[MlirValue]:
        """Runs `kernel` on flat tensors; its outputs are new ones."""
        if kernel not in self._symbols:
            self._symbols[kernel] = self._symbol(kernel.name)
            _executable(self._body, self._symbols[kernel], kernel)
        symbol = self._symbols[kernel]
        entry = mlir.ArrayAttr.get([mlir.SymbolRefAttr.get([symbol, symbol])])
        results = [buffer.type for buffer in kernel.outputs]
        return list(flow.DispatchOp(results, [], entry, list(arguments), [], []).results)

    def _symbol(self, name: str) -> str:
        """`name`, numbered where kernels of equal name differ in what the name leaves out."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return name if count == 0 else f"{name}_{count}"


def _place(symbol: str) -> Any:
    """A location with a line: without one, IREE 3.13 writes bytes that it never set into the module."""
    return mlir.Location.name(symbol, mlir.Location.file(symbol, 1, 1))


def _executable(body: Any, symbol: str, kernel: Kernel) -> None:
    index = mlir.IndexType.get()
    with mlir.InsertionPoint.at_block_begin(body), _place(symbol):
        executable = stream.ExecutableOp(symbol, sym_visibility="private")
        block = executable.body.blocks.append()
    with mlir.InsertionPoint(block), _place(symbol):
        export = stream.ExecutableExportOp(symbol, symbol, sym_visibility="public")
        module = mlir.Operation.create("builtin.module", regions=1)
        stream.ExecutableEndOp()
    with mlir.InsertionPoint(export.workgroup_count.blocks.append()), _place(symbol):
        stream.ReturnOp([arith.constant(index, count) for count in (*kernel.grid, 1)])
    inner = module.regions[0].blocks.append()
    buffers = (*kernel.inputs, *kernel.outputs)
    with mlir.InsertionPoint(inner), _place(symbol):
        binding = mlir.Type.parse("!stream.binding")
        function = func.FuncOp(symbol, mlir.FunctionType.get([binding] * len(buffers), []))
    if isinstance(kernel, Simt):
        function.attributes["translation_info"] = mlir.Attribute.parse(kernel.lowering)
    entry = function.add_entry_block()
    with mlir.InsertionPoint(entry), _place(symbol):
        start = arith.constant(index, 0)
        memories = [
            Memory(stream.binding_subspan(buffer.memory, argument, start, []), bfloat=buffer.element == NAME)
            for buffer, argument in zip(buffers, entry.arguments, strict=True)
        ]
        kernel.emit((workgroup(0, kernel.grid[0]), workgroup(1, kernel.grid[1])), *memories)
        func.ReturnOp([])
