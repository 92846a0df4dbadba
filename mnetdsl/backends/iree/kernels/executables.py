"""Own kernels as IREE sees them: a `stream.executable` a kernel beside the function, a `flow.dispatch` a layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, flow, func, stream

from mnetdsl.backends.iree.kernels.bfloat import BITS, NAME
from mnetdsl.backends.iree.kernels.language import Index, Memory, MlirValue, Position, workgroup

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


class Given:
    """The numbers of a dispatch, inside of its kernel."""

    def __init__(self, numbers: Mapping[str, MlirValue]) -> None:
        self._numbers = numbers
        index = mlir.IndexType.get()
        self._indices = {name: Index(arith.index_cast(index, number)) for name, number in numbers.items()}

    def __getitem__(self, name: str) -> Index:
        return self._indices[name]

    def value(self, name: str) -> MlirValue:
        """As i32."""
        return self._numbers[name]


class Sized(Simt):
    """Base of kernels of scalar invocations for maps of any size: what is a constant elsewhere comes with each dispatch
    as one of `NUMBERS`, so that a driver compiles one kernel for all layers of a kind, not one a layer.

    `emit` builds the work of one invocation; its memories are the inputs, then the output.
    """

    KIND: ClassVar[str]
    """What its name begins with."""
    NUMBERS: ClassVar[tuple[str, ...]]
    INPUTS: ClassVar[tuple[str, ...]] = ("i32",)
    """Their elements."""
    OUTPUT: ClassVar[str] = "i32"

    @property
    def name(self) -> str:
        return "_".join((self.KIND, *self.variants))

    @property
    def variants(self) -> tuple[str, ...]:
        """What the name says of the fields, which are parts of the kernel's code."""
        return ()

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.INPUTS

    def emit(self, group: tuple[Position, Position], given: Given, *memories: Memory) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Call:
    """One dispatch of a `Sized` kernel: its workgroups, its numbers, and the elements of its output."""

    grid: Grid
    numbers: Mapping[str, int]
    size: int


class Executables:
    """The executables of a module under construction, in the order of first use.

    results: values that the module's function is to return behind its own.
    """

    def __init__(self, body: Any) -> None:
        self._body = body
        self._symbols: dict[Kernel | Sized, str] = {}
        self._names: dict[str, int] = {}
        self.results: list[MlirValue] = []

    def dispatch(self, kernel: Kernel, arguments: Sequence[MlirValue]) -> list[MlirValue]:
        """Runs `kernel` on flat tensors; its outputs are new ones."""
        if kernel not in self._symbols:
            self._symbols[kernel] = self._symbol(kernel.name)
            _executable(self._body, self._symbols[kernel], kernel)
        results = [buffer.type for buffer in kernel.outputs]
        entry = _entry(self._symbols[kernel])
        return list(flow.DispatchOp(results, [], entry, list(arguments), [], []).results)

    def dispatch_sized(self, kernel: Sized, arguments: Sequence[MlirValue], call: Call) -> MlirValue:
        """Runs `kernel` on flat tensors; its output is a new one."""
        assert tuple(call.numbers) == kernel.NUMBERS, (kernel.name, tuple(call.numbers))
        if kernel not in self._symbols:
            self._symbols[kernel] = self._symbol(kernel.name)
            _sized_executable(self._body, self._symbols[kernel], kernel)
        groups = [arith.constant(mlir.IndexType.get(), count) for count in call.grid]
        numbers = [arith.constant(_number_type(), number) for number in call.numbers.values()]
        result = Buffer(call.size, kernel.OUTPUT).type
        entry = _entry(self._symbols[kernel])
        return flow.DispatchOp([result], groups, entry, [*arguments, *numbers], [], []).results[0]

    def _symbol(self, name: str) -> str:
        """`name`, numbered where kernels of equal name differ in what the name leaves out."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return name if count == 0 else f"{name}_{count}"


def _place(symbol: str) -> Any:
    """A location with a line: without one, IREE 3.13 writes bytes that it never set into the module."""
    return mlir.Location.name(symbol, mlir.Location.file(symbol, 1, 1))


def _entry(symbol: str) -> Any:
    return mlir.ArrayAttr.get([mlir.SymbolRefAttr.get([symbol, symbol])])


def _number_type() -> Any:
    return mlir.IntegerType.get_signless(32)


def _executable(body: Any, symbol: str, kernel: Kernel) -> None:
    index = mlir.IndexType.get()
    buffers = (*kernel.inputs, *kernel.outputs)
    with _shell(body, symbol) as (export, inner):
        with mlir.InsertionPoint(export.workgroup_count.blocks.append()), _place(symbol):
            stream.ReturnOp([arith.constant(index, count) for count in (*kernel.grid, 1)])
        binding = mlir.Type.parse("!stream.binding")
        with _function(inner, symbol, [binding] * len(buffers), kernel) as arguments:
            start = arith.constant(index, 0)
            memories = [
                Memory(stream.binding_subspan(buffer.memory, argument, start, []), bfloat=buffer.element == NAME)
                for buffer, argument in zip(buffers, arguments, strict=True)
            ]
            kernel.emit((workgroup(0, kernel.grid[0]), workgroup(1, kernel.grid[1])), *memories)


MOST = 1 << 28
"""Elements of a buffer whose size is known only at run time: what its accesses are not checked against."""


def _sized_executable(body: Any, symbol: str, kernel: Sized) -> None:
    index = mlir.IndexType.get()
    with _shell(body, symbol) as (export, inner):
        counts = export.workgroup_count.blocks.append(index, index)
        with mlir.InsertionPoint(counts), _place(symbol):
            stream.ReturnOp([*counts.arguments, arith.constant(index, 1)])
        binding = mlir.Type.parse("!stream.binding")
        types = [binding] * len(kernel.inputs) + [_number_type()] * len(kernel.NUMBERS) + [binding]
        with _function(inner, symbol, types, kernel) as arguments:
            *given, output = arguments
            start, most = arith.constant(index, 0), arith.constant(index, MOST)
            memories = [
                Memory(stream.binding_subspan(_unsized(element), argument, start, [most]))
                for element, argument in zip(
                    (*kernel.inputs, kernel.OUTPUT), (*given[: len(kernel.inputs)], output), strict=True
                )
            ]
            numbers = Given(dict(zip(kernel.NUMBERS, given[len(kernel.inputs) :], strict=True)))
            kernel.emit((workgroup(0, MOST), workgroup(1, MOST)), numbers, *memories)


def _unsized(element: str) -> Any:
    return mlir.MemRefType.get([mlir.ShapedType.get_dynamic_size()], mlir.Type.parse(element))


@contextmanager
def _shell(body: Any, symbol: str) -> Iterator[tuple[Any, Any]]:
    """An executable with one entry: its export, and the block of its module."""
    with mlir.InsertionPoint.at_block_begin(body), _place(symbol):
        executable = stream.ExecutableOp(symbol, sym_visibility="private")
        block = executable.body.blocks.append()
    with mlir.InsertionPoint(block), _place(symbol):
        export = stream.ExecutableExportOp(symbol, symbol, sym_visibility="public")
        module = mlir.Operation.create("builtin.module", regions=1)
        stream.ExecutableEndOp()
    yield export, module.regions[0].blocks.append()


@contextmanager
def _function(block: Any, symbol: str, types: Sequence[Any], kernel: Kernel | Sized) -> Iterator[Sequence[MlirValue]]:
    """The kernel's function: its arguments, while its body is built."""
    with mlir.InsertionPoint(block), _place(symbol):
        function = func.FuncOp(symbol, mlir.FunctionType.get(list(types), []))
    if isinstance(kernel, Simt):
        function.attributes["translation_info"] = mlir.Attribute.parse(kernel.lowering)
    entry = function.add_entry_block()
    with mlir.InsertionPoint(entry), _place(symbol):
        yield list(entry.arguments)
        func.ReturnOp([])
