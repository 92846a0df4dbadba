"""A graph as a list of steps over numbered values: what the torch module walks through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant


@dataclass(frozen=True)
class Step:
    """One operation: reads values `operands`, gives value `result`; nobody reads `last_reads` afterwards.

    `operands` maps the declared operand's name to one number, or to a tuple of numbers where it is variadic.
    """

    op: Op
    operands: tuple[tuple[str, int | tuple[int, ...]], ...]
    result: int
    last_reads: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """Steps in order, without the constants. `constants` pairs the numbers of their values with resource names."""

    module: Module
    inputs: tuple[int, ...]
    constants: tuple[tuple[int, str], ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def __deepcopy__(self, memo: dict[int, Any]) -> Program:
        """Itself: nothing here changes, so that copies of a network (an average of its weights) share it."""
        return self


def program_of(module: Module) -> Program:
    """The program of `module`; operations that no output needs are kept, as the graph keeps them."""
    graph = module.graph
    numbers: dict[Value, int] = {}
    for value in (*(port.value for port in graph.inputs), *(op.result for op in graph.operations)):
        numbers[value] = len(numbers)
    constants = tuple((numbers[op.result], op.resource) for op in graph.operations if isinstance(op, Constant))
    outputs = tuple(numbers[port.value] for port in graph.outputs)
    kept = {number for number, _ in constants} | set(outputs)
    steps: list[Step] = []
    for op in reversed(graph.operations):
        if isinstance(op, Constant):
            continue
        reads = dict.fromkeys(numbers[value] for value in op.operands)
        last_reads = tuple(number for number in reads if number not in kept)
        kept.update(last_reads)
        steps.append(Step(op, _operands(op, numbers), numbers[op.result], last_reads))
    return Program(
        module, tuple(numbers[port.value] for port in graph.inputs), constants, tuple(reversed(steps)), outputs
    )


def _operands(op: Op, numbers: dict[Value, int]) -> tuple[tuple[str, int | tuple[int, ...]], ...]:
    found: list[tuple[str, int | tuple[int, ...]]] = []
    for definition in op.operand_defs:
        group = tuple(numbers[value] for value in op.operand_group(definition.name))
        if definition.variadic:
            found.append((definition.name, group))
        elif group:
            found.append((definition.name, group[0]))
    return tuple(found)
