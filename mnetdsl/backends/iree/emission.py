"""IR to an MLIR module of own kernels and linalg on tensors, with one function `main`.

It takes the inputs in port order and gives the outputs in theirs, then the observed layers. Weights are resources
beside the text. Each operation carries its layer name and `.mnet` place as `loc("stem.conv"("net.mnet":12:7))`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from iree.compiler import ir as mlir
from iree.compiler.dialects import func

from mnetdsl.backends.iree.integers import NARROW, WIDE
from mnetdsl.backends.iree.kernels.chains import Chaining, chaining_for
from mnetdsl.backends.iree.kernels.executables import Executables
from mnetdsl.backends.iree.kernels.isa import Bfloat, Isa
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.kernels.roads import Road, Roads, simt_roads, vector_roads
from mnetdsl.backends.iree.kernels.storage import simt_storage, storage_of
from mnetdsl.backends.iree.kernels.workshop import Shop
from mnetdsl.backends.iree.layout import LINALG
from mnetdsl.backends.iree.ops import EMITTERS
from mnetdsl.backends.iree.quantized import QUANTIZED_EMITTERS, SIMT_EMITTERS
from mnetdsl.backends.iree.quantized.kernels.simt_layout import WordLayout
from mnetdsl.backends.iree.scope import LayerEmitter, Scope
from mnetdsl.backends.iree.tensors import tensor_type, unfused
from mnetdsl.interpreter.frame import Frame
from mnetdsl.interpreter.ops.constant import constant, missing_weights
from mnetdsl.ir.core import Module, Op, Port
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops.constant import Constant

FUNCTION = "main"
DEVICE = "device"


@dataclass(frozen=True)
class Emitted:
    """MLIR text with weights, and the road that each layer took, in the graph's order; none where all took linalg."""

    text: str
    roads: tuple[Road, ...]


def emit(
    module: Module,
    observe: Collection[str] = (),
    isa: Isa | None = None,
    *,
    device: str | None = None,
    simt: bool = False,
    simt_kernels: bool = False,
    bfloat: Bfloat | None = None,
    threads: int | None = None,
    executables: Callable[[Any], Executables] = Executables,
) -> Emitted:
    """The module as MLIR. `observe` names layers whose results are returned as well; `isa` is what own kernels are
    made for, None for none of them. `device` is as in `targets.IreeTarget`; `simt` is for targets of that kind,
    `simt_kernels` lets their layers run by own kernels as well. `bfloat` lets own kernels store maps in bfloat16 and
    says how to multiply it. `threads` is how many will run the module, None where nobody knows. `executables` makes
    what holds the own kernels of a module; its results follow those of the function.

    Raises `MnetError` where weights are missing (MN0720) or do not fit (MN0721), and `KeyError` for a layer that does
    not exist.
    """
    _require_weights(module)
    observed = observed_layers(module, observe)
    with mlir.Context(), _location(Location(module.name)):
        built, roads = _build(module, observed, isa, bfloat, simt, simt_kernels, chaining_for(threads), executables)
        if device is not None:
            _place(built, device)
        text: str = built.operation.get_asm(enable_debug_info=True)
    return Emitted(text, roads)


def _place(built: Any, device: str) -> None:
    """Lets all of the module run on the first queue of `device`.

    Left to choose, IREE 3.13 allocates on one queue of a Vulkan device and computes on the other. Of the two threads
    behind them either wakes the one that computes, by the next value of a semaphore; both at once may signal it out of
    order, and Mesa then gives the device up as lost.
    """
    attributes = {
        "sym_name": mlir.StringAttr.get(DEVICE),
        "sym_visibility": mlir.StringAttr.get("private"),
        "type": mlir.TypeAttr.get(mlir.Type.parse("!hal.device")),
        "initial_value": mlir.Attribute.parse(device),
    }
    with mlir.InsertionPoint.at_block_begin(built.body):
        mlir.Operation.create("util.global", attributes=attributes)
    first = mlir.Attribute.parse(f"#hal.device.affinity<@{DEVICE}, [0]>")
    built.operation.attributes["stream.affinity.default"] = first


def observed_layers(module: Module, observe: Collection[str]) -> list[Op]:
    """The operations named in `observe`, in the graph's order; raises `KeyError` naming the first missing one."""
    layers = [op for op in module.graph.operations if op.opcode != "constant" and op.name in observe]
    missing = set(observe) - {op.name for op in layers}
    if missing:
        raise KeyError(min(missing))
    return layers


def _build(
    module: Module,
    observed: list[Op],
    isa: Isa | None,
    bfloat: Bfloat | None,
    simt: bool,
    simt_kernels: bool,
    chaining: Chaining,
    make_executables: Callable[[Any], Executables],
) -> tuple[Any, tuple[Road, ...]]:
    built = mlir.Module.create()
    built.operation.attributes["sym_name"] = mlir.StringAttr.get(module.name)
    graph = module.graph
    results = [port.value for port in graph.outputs] + [op.result for op in observed]
    signature = mlir.FunctionType.get(
        [tensor_type(port.value.type) for port in graph.inputs], [tensor_type(value.type) for value in results]
    )
    with mlir.InsertionPoint(built.body):
        function = func.FuncOp(FUNCTION, signature)
    block = function.add_entry_block([_port_location(port) for port in graph.inputs])
    shared = {value for op in graph.operations for value in op.operands}.intersection(results)
    executables = make_executables(built.body)
    layout = WordLayout(executables) if simt_kernels else LINALG
    scope = Scope(module.resources, NARROW if simt else WIDE, layout)
    roads: Roads | None = None
    if simt_kernels:
        roads = simt_roads(Shop(scope, executables, simt_storage()))
    elif isa is not None:
        shop = Workshop(scope, executables, storage_of(isa, bfloat, graph, results), isa, chaining)
        roads = vector_roads(shop, graph, results)
    for port, argument in zip(graph.inputs, block.arguments, strict=True):
        scope.bind(port.value, argument)
    with mlir.InsertionPoint(block):
        for op in graph.operations:
            with _location(op.location):
                if roads is not None and op.opcode != "constant" and roads.take(op):
                    continue
                emitted = emitter_of(op, simt=simt)(scope, op)
                if simt and op.result in shared:
                    # Fused with its reader and stored by the same dispatch, IREE 3.13 computes it wrong on Vulkan.
                    emitted = unfused(emitted)
                scope.bind(op.result, emitted)
        returned = [scope.value(value) for value in results] + executables.results
        func.ReturnOp(returned)
    if executables.results:
        types = mlir.FunctionType.get(list(signature.inputs), [value.type for value in returned])
        function.attributes["function_type"] = mlir.TypeAttr.get(types)
    _drop_unread_constants(block)
    built.operation.verify()
    return built, () if roads is None else tuple(roads.taken)


def emitter_of(op: Op, *, simt: bool) -> LayerEmitter:
    """On stored integers where the result is quantized, or where `op` takes nothing else."""
    if op.type.quantization is None and op.opcode in EMITTERS:
        return EMITTERS[op.opcode]
    return (SIMT_EMITTERS if simt else QUANTIZED_EMITTERS)[op.opcode]


def _drop_unread_constants(block: Any) -> None:
    """Weights that own kernels hold in another arrangement."""
    for op in list(block.operations):
        if op.operation.name == "arith.constant" and not list(op.result.uses):
            op.operation.erase()


def _location(location: Location) -> Any:
    """Only the file's name: the same network in another folder gives the same bytes."""
    if not location.file:
        return mlir.Location.name(location.name or "unnamed")
    place = mlir.Location.file(PurePath(location.file).name, location.line, location.column)
    return mlir.Location.name(location.name or "unnamed", place)


def _port_location(port: Port) -> Any:
    return _location(port.location.named(port.name))


def _require_weights(module: Module) -> None:
    constants = [op for op in module.graph.operations if isinstance(op, Constant)]
    missing = [op for op in constants if op.resource not in module.resources]
    if missing:
        raise missing_weights(missing)
    frame = Frame({}, module.resources)
    for op in constants:
        constant(op, frame)
