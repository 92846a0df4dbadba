"""How an operation is declared: operands and attributes as typed class members.

    class Conv2d(Op):
        opcode = "conv2d"
        input = Operand(rank=4)
        bias = OptionalOperand(rank=1)
        strides = Ints(2)

Construction, structural checks, printing and parsing all derive from these declarations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast, overload

if TYPE_CHECKING:
    from mnetdsl.ir.core import Op, Value

AttributeValue = int | float | str | bool | tuple[int, ...] | tuple[float, ...]
T = TypeVar("T", bound=AttributeValue)


class OperandBase:
    """Common part of the operand declarations. `rank` None accepts any rank."""

    optional = False
    variadic = False

    def __init__(self, rank: int | None = None) -> None:
        self.rank = rank
        self.name = ""

    def __set_name__(self, owner: type[Op], name: str) -> None:
        self.name = name


class Operand(OperandBase):
    """Exactly one value."""

    @overload
    def __get__(self, op: None, owner: type[Op]) -> Operand: ...
    @overload
    def __get__(self, op: Op, owner: type[Op]) -> Value: ...
    def __get__(self, op: Op | None, owner: type[Op]) -> Operand | Value:
        return self if op is None else op.operand_group(self.name)[0]


class OptionalOperand(OperandBase):
    """One value or none."""

    optional = True

    @overload
    def __get__(self, op: None, owner: type[Op]) -> OptionalOperand: ...
    @overload
    def __get__(self, op: Op, owner: type[Op]) -> Value | None: ...
    def __get__(self, op: Op | None, owner: type[Op]) -> OptionalOperand | Value | None:
        if op is None:
            return self
        group = op.operand_group(self.name)
        return group[0] if group else None


class VariadicOperand(OperandBase):
    """Any number of values."""

    variadic = True

    @overload
    def __get__(self, op: None, owner: type[Op]) -> VariadicOperand: ...
    @overload
    def __get__(self, op: Op, owner: type[Op]) -> tuple[Value, ...]: ...
    def __get__(self, op: Op | None, owner: type[Op]) -> VariadicOperand | tuple[Value, ...]:
        return self if op is None else op.operand_group(self.name)


class AttributeDef(Generic[T]):
    """Common part of the attribute declarations; `default` None means that it must be given."""

    def __init__(self, default: T | None = None) -> None:
        self.default = default
        self.name = ""

    def __set_name__(self, owner: type[Op], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, op: None, owner: type[Op]) -> AttributeDef[T]: ...
    @overload
    def __get__(self, op: Op, owner: type[Op]) -> T: ...
    def __get__(self, op: Op | None, owner: type[Op]) -> AttributeDef[T] | T:
        if op is None:
            return self
        return cast("T", op.attributes[self.name])

    def problem(self, value: AttributeValue) -> str | None:
        """Why `value` is not acceptable, or None."""
        raise NotImplementedError


class Int(AttributeDef[int]):
    def problem(self, value: AttributeValue) -> str | None:
        return None if type(value) is int else f"must be an integer, got {value!r}"


class Bool(AttributeDef[bool]):
    def problem(self, value: AttributeValue) -> str | None:
        return None if type(value) is bool else f"must be true or false, got {value!r}"


class Float(AttributeDef[float]):
    def problem(self, value: AttributeValue) -> str | None:
        return None if type(value) is float else f"must be a float, got {value!r}"


class String(AttributeDef[str]):
    """A string; with `choices`, one of them."""

    def __init__(self, default: str | None = None, choices: tuple[str, ...] = ()) -> None:
        super().__init__(default)
        self.choices = choices

    def problem(self, value: AttributeValue) -> str | None:
        if type(value) is not str:
            return f"must be a string, got {value!r}"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}, got {value!r}"
        return None


class Ints(AttributeDef[tuple[int, ...]]):
    """A tuple of `length` integers (any length where None), each at least `minimum`."""

    def __init__(
        self, length: int | None = None, default: tuple[int, ...] | None = None, minimum: int | None = None
    ) -> None:
        super().__init__(default)
        self.length = length
        self.minimum = minimum

    def problem(self, value: AttributeValue) -> str | None:
        if type(value) is not tuple or not all(type(item) is int for item in value):
            return f"must be a list of integers, got {value!r}"
        if self.length is not None and len(value) != self.length:
            return f"must have {self.length} integers, got {list(value)}"
        if self.minimum is not None and any(item < self.minimum for item in value):
            return f"must be at least {self.minimum}, got {list(value)}"
        return None


class Floats(AttributeDef[tuple[float, ...]]):
    """A tuple of floats."""

    def problem(self, value: AttributeValue) -> str | None:
        if type(value) is not tuple or not all(type(item) is float for item in value):
            return f"must be a list of floats, got {value!r}"
        return None
