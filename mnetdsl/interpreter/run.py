"""Runs a module on NumPy arrays: the meaning that every backend is compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops import EVALUATIONS, Evaluation
from mnetdsl.interpreter.ops.constant import constant, describe, missing_weights
from mnetdsl.interpreter.quantized import QUANTIZED
from mnetdsl.ir.core import Module, Op, Port, Value
from mnetdsl.ir.ops.constant import Constant

AnyNumber = TypeVar("AnyNumber", bound=np.generic)
Observer = Callable[[Op, Array], None]


def evaluate_op(op: Op, operands: Sequence[NDArray[AnyNumber]], resources: Mapping[str, NDArray[AnyNumber]]) -> Array:
    """The result of one operation.

    `operands` are the arrays of `op.operands`: declared order, absent optional ones left out. `resources` is read
    by `constant` only. NaN and infinity follow IEEE 754 without warnings.
    Raises MN0720 or MN0721 where a constant's array is not loaded or does not fit.
    """
    with np.errstate(all="ignore"):
        return evaluation(op)(op, Frame(dict(zip(op.operands, operands, strict=True)), resources))


def evaluation(op: Op) -> Evaluation:
    """What `op` computes: on stored integers where its result is quantized, or where it takes nothing else."""
    real = op.type.quantization is None and op.opcode in EVALUATIONS
    return EVALUATIONS[op.opcode] if real else QUANTIZED[op.opcode]


def run(module: Module, inputs: Mapping[str, NDArray[AnyNumber]], observe: Observer | None = None) -> dict[str, Array]:
    """The outputs of `module` by port name, each [N, …].

    `inputs` holds one array [N, …] for each input port, of the port's element type; N is the same for all.
    `observe` is called with each operation but constants, in order, and its result; it may keep the array, which
    is not written again. What nobody reads any more is released, so peak memory is that of the live tensors.
    Raises MN0620 or MN0621 where the inputs do not fit the ports, MN0720 or MN0721 where weights are missing or do
    not fit.
    """
    graph = module.graph
    batch = check_inputs(module, inputs)
    constants = [op for op in graph.operations if isinstance(op, Constant)]
    missing = [op for op in constants if op.resource not in module.resources]
    if missing:
        raise missing_weights(missing)
    values: dict[Value, Array] = {port.value: np.ascontiguousarray(inputs[port.name]) for port in graph.inputs}
    frame = Frame(values, module.resources)
    values.update((op.result, constant(op, frame)) for op in constants)
    steps = [(op, evaluation(op), op.operands) for op in graph.operations if not isinstance(op, Constant)]
    unread = Counter(port.value for port in graph.outputs)
    for _, _, operands in steps:
        unread.update(operands)
    with np.errstate(all="ignore"):
        for op, evaluate, operands in steps:
            result = evaluate(op, frame)
            if observe is not None:
                observe(op, result)
            if unread[op.result]:
                values[op.result] = result
            for value in operands:
                unread[value] -= 1
                if not unread[value]:
                    del values[value]
    # An output that depends on no input has batch 1.
    return {
        port.name: np.broadcast_to(values[port.value], (batch, *port.value.type.shape[1:])) for port in graph.outputs
    }


def check_inputs(module: Module, inputs: Mapping[str, NDArray[AnyNumber]]) -> int:
    """The batch size of `inputs`; raises MN0620 or MN0621 where they are not what the module's ports need."""
    ports = {port.name: port for port in module.graph.inputs}
    names = ", ".join(f"`{name}`" for name in ports)
    problems = [
        error(
            "MN0620",
            f"no array is given for input `{name}` of `{module.name}`",
            location=str(port.location),
            help=f"give an array under the name `{name}`: {_expected(port)}",
        )
        for name, port in ports.items()
        if name not in inputs
    ]
    problems += [
        error("MN0620", f"`{module.name}` has no input `{name}`", help=f"its inputs are {names}")
        for name in inputs
        if name not in ports
    ]
    batches: dict[str, int] = {}
    for name, port in ports.items():
        if name in inputs:
            problem = _input_problem(port, inputs[name])
            if problem is not None:
                problems.append(problem)
            else:
                batches[name] = inputs[name].shape[0]
    if not problems and len(set(batches.values())) > 1:
        sizes = ", ".join(f"`{name}` {size}" for name, size in batches.items())
        problems.append(
            error("MN0621", f"the inputs have different batch sizes: {sizes}", help="give arrays of one batch size")
        )
    if problems:
        raise MnetError(*problems)
    return next(iter(batches.values()), 1)


def _input_problem(port: Port, array: NDArray[AnyNumber]) -> Diagnostic | None:
    element = port.value.type.element
    sizes = port.value.type.shape[1:]
    if not isinstance(array, np.ndarray):
        return error(
            "MN0621",
            f"input `{port.name}` needs {_expected(port)}, given is no array but {type(array).__name__}",
            help=f"make one of it: `numpy.asarray(given, numpy.{element.dtype})`",
        )
    if (
        array.ndim == len(sizes) + 1
        and array.shape[1:] == sizes
        and array.shape[0] > 0
        and array.dtype == element.dtype
    ):
        return None
    if array.shape == sizes:
        remedy = "add the batch dimension in front: `array[None]`"
    elif array.ndim == len(sizes) + 1 and array.shape[1:] == sizes and array.shape[0] > 0:
        remedy = f"convert it: `array.astype(numpy.{element.dtype})`"
    else:
        remedy = f"give an array {_expected(port)}; N is the batch, at least 1"
    return error(
        "MN0621",
        f"input `{port.name}` needs {_expected(port)}, the array is {describe(array)}",
        location=str(port.location),
        help=remedy,
    )


def _expected(port: Port) -> str:
    sizes = ", ".join(map(str, port.value.type.shape[1:]))
    return f"[N, {sizes}] {port.value.type.element.dtype}"
