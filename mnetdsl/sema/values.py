"""What expressions of the language evaluate to at compile time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from mnetdsl.ir.core import Value as IrValue
from mnetdsl.ir.types import TensorType
from mnetdsl.source import Span
from mnetdsl.syntax import ast


@dataclass(frozen=True)
class Symbol:
    """A word with a fixed meaning, such as `same` or `rgb`."""

    text: str


@dataclass(frozen=True)
class Activation:
    """A unary function passed by name; `none` leaves its argument alone."""

    text: str


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value of the graph, and where the text made it."""

    value: IrValue
    span: Span

    @property
    def type(self) -> TensorType:
        return self.value.type


@dataclass(frozen=True)
class TableRow:
    """A row during one iteration; `first` is true in the first repeat of the row."""

    table: str
    cells: Mapping[str, Constant]
    index: int
    first: bool


@dataclass(frozen=True, eq=False)
class TableValue:
    """A declared table. Iterating repeats each row as often as its column `repeat` says."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Constant, ...], ...]
    span: Span


@dataclass(frozen=True, eq=False)
class BlockValue:
    """A block, and the file whose names its body sees."""

    block: ast.Block
    home: FileScope


@dataclass(frozen=True, eq=False)
class ModelValue:
    """A model, and the file whose names its body sees."""

    model: ast.Model
    home: FileScope


@dataclass(eq=False)
class FileScope:
    """Top-level names of one file."""

    file: ast.MnetFile
    is_library: bool
    """A file of mnetdsl itself: diagnostics point at the call in the user's file instead."""
    names: dict[str, BlockValue | ModelValue]
    definitions: dict[str, Span]


class Poison:
    """Stands for a value whose computation has already been reported."""


POISON = Poison()

Constant: TypeAlias = "int | float | bool | str | Symbol | Activation | tuple[Constant, ...]"
Value: TypeAlias = "Constant | Tensor | TableRow | TableValue | tuple[Value, ...] | Poison"


def as_constant(value: Value) -> Constant | None:
    """`value` if it can be written down: a number, text, word, or a list of such."""
    if isinstance(value, tuple):
        items = [as_constant(item) for item in value]
        return None if any(item is None for item in items) else tuple(item for item in items if item is not None)
    if isinstance(value, Tensor | TableRow | TableValue | Poison):
        return None
    return value


def from_python(value: object) -> Value | None:
    """What Python programs set a parameter to, NumPy's numbers and lists included; None for what is no value here."""
    if isinstance(value, list | tuple):
        items = [from_python(item) for item in value]
        return None if any(item is None for item in items) else tuple(item for item in items if item is not None)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, bool | int | float | str | Symbol | Activation) else None


def type_name(value: Value) -> str:
    """The type as the language spells it in parameters and messages."""
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
        case tuple():
            return "list"
        case Symbol():
            return "symbol"
        case Activation():
            return "activation"
        case Tensor():
            return "tensor"
        case TableRow():
            return "table row"
        case TableValue():
            return "table"
        case Poison():
            return "unknown"


def with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def describe(value: Value) -> str:
    """Type and content for messages: `int 3`, `tensor 28x28x24 f32`, `list [1, 2]`."""
    match value:
        case Tensor():
            return f"tensor {value.type}"
        case TableRow() | TableValue() | Poison():
            return with_article(type_name(value))
        case _:
            return f"{type_name(value)} {literal(value)}"


def literal(value: Value) -> str:
    """The value as it would be written in the language."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case tuple():
            return f"[{', '.join(literal(item) for item in value)}]"
        case Symbol() | Activation():
            return value.text
        case Tensor():
            return str(value.type)
        case TableRow() | TableValue() | Poison():
            return type_name(value)
        case _:
            return repr(value)
