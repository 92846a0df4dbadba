"""Where each value of the graph lives: the caller's input and output, constants, or a buffer of the arena."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from mnetdsl.ir.core import Graph, Value
from mnetdsl.plan.tasks import Task


class Space(Enum):
    """Kinds of memory a value may live in."""

    INPUT = "input"
    OUTPUT = "output"
    CONSTANT = "constant"
    ARENA = "arena"


@dataclass(frozen=True)
class Place:
    """`index` counts input ports, output ports, constants or arena buffers."""

    space: Space
    index: int


@dataclass(frozen=True)
class Lifetime:
    """A buffer of the arena: `size` bytes from the task that writes it to the last one that reads it."""

    name: str
    size: int
    first: int
    last: int


def storage_root(value: Value) -> Value:
    """The value whose memory `value` shares: a reshape moves nothing."""
    while value.producer is not None and value.producer.opcode == "reshape":
        (value,) = value.producer.operands
    return value


def external_places(graph: Graph) -> dict[Value, Place]:
    """Values outside the arena, by root. The first output port of a computed value becomes its memory."""
    places = {port.value: Place(Space.INPUT, index) for index, port in enumerate(graph.inputs)}
    for index, op in enumerate(graph.constants()):
        places[op.result] = Place(Space.CONSTANT, index)
    for index, port in enumerate(graph.outputs):
        places.setdefault(storage_root(port.value), Place(Space.OUTPUT, index))
    return places


def copied_outputs(graph: Graph) -> tuple[int, ...]:
    """Output ports that need a copy: their value lives in an input, a constant or another output."""
    places = external_places(graph)
    return tuple(
        index
        for index, port in enumerate(graph.outputs)
        if places[storage_root(port.value)] != Place(Space.OUTPUT, index)
    )


def lifetimes(tasks: Sequence[Task], external: Mapping[Value, Place]) -> dict[Value, Lifetime]:
    """Buffers of the arena by root value, in the order of the tasks that write them."""
    last: dict[Value, int] = {}
    for index, task in enumerate(tasks):
        last[task.writes] = index
        for value in task.reads:
            last[storage_root(value)] = index
    return {
        task.writes: Lifetime(task.name, task.writes.type.byte_size, index, last[task.writes])
        for index, task in enumerate(tasks)
        if task.writes not in external
    }
