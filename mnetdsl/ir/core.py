"""The graph: values, operations, ports, module. Mutated only through `rewriter.Rewriter` and `builder.Builder`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from mnetdsl.ir.declare import AttributeDef, AttributeValue, OperandBase
from mnetdsl.ir.derivation import Derivation
from mnetdsl.ir.location import UNKNOWN, Location
from mnetdsl.ir.types import Storage, TensorType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ShapeError(Exception):
    """Operand types that an operation cannot take. `operand` names the declared operand to blame, if one is."""

    def __init__(self, message: str, operand: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.operand = operand


class Value:
    """An SSA value: the result of `producer`, or a graph input where that is None."""

    __slots__ = ("producer", "type", "users")

    def __init__(self, type: TensorType, producer: Op | None = None) -> None:
        self.type = type
        self.producer = producer
        self.users: list[Op] = []
        """Operations that read the value, one entry per use, in no particular order."""


OperandArgument = Value | Sequence[Value] | None


class Op:
    """Base of all operations. Subclasses declare operands and attributes (see `declare`) and infer their result."""

    opcode: ClassVar[str]
    operand_defs: ClassVar[tuple[OperandBase, ...]] = ()
    attribute_defs: ClassVar[tuple[AttributeDef[AttributeValue], ...]] = ()

    def __init_subclass__(cls) -> None:
        members = [value for base in reversed(cls.__mro__) for value in vars(base).values()]
        cls.operand_defs = tuple(member for member in members if isinstance(member, OperandBase))
        cls.attribute_defs = tuple(member for member in members if isinstance(member, AttributeDef))

    def __init__(
        self,
        operands: Mapping[str, OperandArgument],
        attributes: Mapping[str, AttributeValue] | None = None,
        location: Location = UNKNOWN,
        storage: Storage | None = None,
    ) -> None:
        """Builds the operation and infers its result type.

        `storage` says how the result is stored where that does not follow from the operands: a quantized tensor has
        numbers of its own (docs/decisions/0007-quantized-graphs.md).
        Raises `ShapeError` where the operand types do not fit, and `ValueError` for a malformed call, which no
        user can cause.
        """
        self.location = location
        self.storage = storage
        self._groups: dict[str, tuple[Value, ...]] = {}
        self.attributes: dict[str, AttributeValue] = {}
        self._set_operands(operands)
        self._set_attributes(attributes or {})
        self.result = Value(self.typed(), self)
        for value in self.operands:
            value.users.append(self)

    def _set_operands(self, operands: Mapping[str, OperandArgument]) -> None:
        unknown = set(operands) - {d.name for d in self.operand_defs}
        if unknown:
            raise ValueError(f"{self.opcode} has no operand {sorted(unknown)}")
        for definition in self.operand_defs:
            argument = operands.get(definition.name)
            group = () if argument is None else (argument,) if isinstance(argument, Value) else tuple(argument)
            if not definition.variadic and len(group) != 1 and not (definition.optional and not group):
                raise ValueError(f"{self.opcode} needs operand `{definition.name}`")
            for value in group:
                if definition.rank is not None and value.type.rank != definition.rank:
                    raise ShapeError(
                        f"`{self.opcode}` needs a tensor of {definition.rank} dimensions "
                        f"as {definition.name}, got {value.type}",
                        definition.name,
                    )
            self._groups[definition.name] = group

    def _set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        unknown = set(attributes) - {d.name for d in self.attribute_defs}
        if unknown:
            raise ValueError(f"{self.opcode} has no attribute {sorted(unknown)}")
        for definition in self.attribute_defs:
            value = attributes.get(definition.name, definition.default)
            if value is None:
                raise ValueError(f"{self.opcode} needs attribute `{definition.name}`")
            problem = definition.problem(value)
            if problem:
                raise ShapeError(f"`{definition.name}` of `{self.opcode}` {problem}", definition.name)
            self.attributes[definition.name] = value

    @property
    def name(self) -> str:
        """The hierarchical layer name."""
        return self.location.name

    @property
    def operands(self) -> tuple[Value, ...]:
        """All operands in declared order, absent optional ones left out."""
        return tuple(value for definition in self.operand_defs for value in self._groups[definition.name])

    def operand_group(self, name: str) -> tuple[Value, ...]:
        """Values of one declared operand: none, one, or several where it is variadic."""
        return self._groups[name]

    @property
    def type(self) -> TensorType:
        """Type of the result."""
        return self.result.type

    def infer(self) -> TensorType:
        """The result type from operands and attributes; raises `ShapeError` where they do not fit."""
        raise NotImplementedError

    def typed(self) -> TensorType:
        """The inferred type as it is stored."""
        return self.infer().stored_as(self.storage)

    def replace_operand(self, old: Value, new: Value) -> None:
        """For the rewriter: reads `new` wherever it read `old`."""
        for name, group in self._groups.items():
            self._groups[name] = tuple(new if value is old else value for value in group)
        uses = old.users.count(self)
        for _ in range(uses):
            old.users.remove(self)
            new.users.append(self)

    def drop_operands(self) -> None:
        """For the rewriter: stops being a user of anything, before the operation is erased."""
        for value in self.operands:
            value.users.remove(self)


RESERVED_PORT_KEYS = frozenset({"name", "location"})
"""No attribute of a port may be called so: the IR's text keeps them beside the attributes."""


@dataclass(eq=False)
class Port:
    """An input or output of the graph, under the name the user gave it.

    `attributes` holds what was declared beside it: `color`, `mean` and `std` on inputs, `labels` on outputs.
    """

    name: str
    value: Value
    attributes: dict[str, AttributeValue | tuple[str, ...]] = field(default_factory=dict)
    location: Location = UNKNOWN


@dataclass(eq=False)
class Graph:
    """One function: `operations` in an order where each stands behind what it reads."""

    inputs: list[Port] = field(default_factory=list)
    operations: list[Op] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)

    def constants(self) -> Iterator[Op]:
        return (op for op in self.operations if op.opcode == "constant")

    def is_output(self, value: Value) -> bool:
        return any(port.value is value for port in self.outputs)


@dataclass(eq=False)
class Module:
    """A compiled model: its graph, and the arrays that its constants name.

    A resource that is missing has not been loaded yet: shapes, MACs and text need no weights. `derived` says how
    arrays that passes made follow from others, sources before what is derived from them.
    """

    name: str
    graph: Graph = field(default_factory=Graph)
    resources: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    derived: dict[str, Derivation] = field(default_factory=dict)

    @property
    def quantized(self) -> bool:
        """Whether any of its tensors is stored as integers with a scale."""
        return any(op.type.quantization is not None for op in self.graph.operations)

    def required(self) -> dict[str, TensorType]:
        """Arrays that a weight file must hold, by name: those that constants read and nothing derives, and those
        that derivations start from."""
        needed = {op.attributes["resource"]: op.type for op in self.graph.constants()}
        for derivation in self.derived.values():
            needed.update(zip(derivation.sources, derivation.types, strict=True))
        return {str(name): type for name, type in needed.items() if name not in self.derived}
