"""The only way to change a graph: users, outputs and order stay right after every call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from mnetdsl.ir.core import Graph, Op, OperandArgument, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.location import Location
from mnetdsl.ir.types import Storage

AnyOp = TypeVar("AnyOp", bound=Op)


class Rewriter:
    """Rewrites `graph` in place. A misuse, such as replacing a value by one of another type, is a `ValueError`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._erased: set[Op] = set()

    def operations(self) -> Iterator[Op]:
        """Operations in order, as they were when the walk began, without those erased since."""
        for op in list(self.graph.operations):
            if op not in self._erased:
                yield op

    def insert_before(
        self,
        anchor: Op,
        kind: type[AnyOp],
        operands: Mapping[str, OperandArgument],
        attributes: Mapping[str, AttributeValue] | None = None,
        location: Location | None = None,
        storage: Storage | None = None,
    ) -> AnyOp:
        """A new operation in front of `anchor`, at the anchor's location where none is given.

        Raises `ShapeError` where the operands do not fit; the graph is then unchanged.
        """
        position = self.position(anchor)
        op = kind(operands, attributes, anchor.location if location is None else location, storage)
        self.graph.operations.insert(position, op)
        return op

    def replace(
        self,
        op: Op,
        kind: type[AnyOp],
        operands: Mapping[str, OperandArgument],
        attributes: Mapping[str, AttributeValue] | None = None,
        location: Location | None = None,
        storage: Storage | None = None,
    ) -> AnyOp:
        """A new operation at the place of `op`, whose result is read wherever that of `op` was."""
        replacement = self.insert_before(op, kind, operands, attributes, location, storage)
        self.replace_with_value(op, replacement.result)
        return replacement

    def update(
        self,
        op: AnyOp,
        operands: Mapping[str, OperandArgument] | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
        location: Location | None = None,
    ) -> AnyOp:
        """`op` with some operands and attributes changed, as a new operation at its place, stored alike."""
        merged: dict[str, OperandArgument] = {d.name: op.operand_group(d.name) for d in op.operand_defs}
        changed = op.attributes | dict(attributes or {})
        return self.replace(op, type(op), merged | dict(operands or {}), changed, location, op.storage)

    def replace_with_value(self, op: Op, value: Value) -> None:
        """Reads `value` wherever the result of `op` was read, and erases `op`."""
        self.replace_uses(op.result, value)
        self.erase(op)

    def replace_uses(self, old: Value, new: Value) -> None:
        """Reads `new` wherever `old` was read, outputs included. `new` must be defined before the first of them."""
        if old.type != new.type:
            raise ValueError(f"a value of {old.type} cannot become one of {new.type}")
        if old is new:
            raise ValueError("a value cannot be replaced by itself")
        for user in dict.fromkeys(old.users):
            user.replace_operand(old, new)
        for port in self.graph.outputs:
            if port.value is old:
                port.value = new

    def erase(self, op: Op) -> None:
        """Removes an operation that nobody reads."""
        if not self.unread(op):
            raise ValueError(f"`{op.opcode}` {op.name} is still read and cannot be erased")
        position = self.position(op)
        op.drop_operands()
        del self.graph.operations[position]
        self._erased.add(op)

    def unread(self, op: Op) -> bool:
        """Whether nothing reads the result of `op`."""
        return not op.result.users and not self.graph.is_output(op.result)

    def erase_unread(self, *operations: Op) -> None:
        """Erases those of `operations` that nothing reads, each once."""
        for op in dict.fromkeys(operations):
            if op not in self._erased and self.unread(op):
                self.erase(op)

    def single_use(self, value: Value) -> bool:
        """Whether exactly one operand reads `value`, and no output."""
        return len(value.users) == 1 and not self.graph.is_output(value)

    def position(self, op: Op) -> int:
        """Index of `op` in the graph."""
        if op in self._erased:
            raise ValueError(f"`{op.opcode}` {op.name} has been erased")
        return self.graph.operations.index(op)
