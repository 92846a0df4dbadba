"""What the user wrote: frozen nodes, each with its span. No meaning is attached here; `sema` does that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mnetdsl.source import SourceFile, Span


@dataclass(frozen=True)
class Node:
    span: Span


@dataclass(frozen=True)
class Identifier(Node):
    """A name in a defining or selecting position (not an expression)."""

    text: str


# Expressions ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Name(Node):
    """A use of a variable, parameter, block, operation or symbol such as `relu6` or `same`."""

    text: str


@dataclass(frozen=True)
class Number(Node):
    """An int or float literal; sizes such as `64K` and `1M` arrive as the int they stand for."""

    value: int | float


@dataclass(frozen=True)
class String(Node):
    value: str


@dataclass(frozen=True)
class Bool(Node):
    value: bool


@dataclass(frozen=True)
class ListLiteral(Node):
    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Unary(Node):
    """`-x` or `not x`."""

    operator: str
    operand: Expr


@dataclass(frozen=True)
class Binary(Node):
    """Arithmetic `+ - * / // % **`, comparison `== != < <= > >=`, logic `and or`."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Conditional(Node):
    """`then if condition else otherwise`."""

    then: Expr
    condition: Expr
    otherwise: Expr


@dataclass(frozen=True)
class Attribute(Node):
    """`value.name`: a shape query (`x.channels`) or a column of a table row (`row.stride`)."""

    value: Expr
    name: Identifier


@dataclass(frozen=True)
class Index(Node):
    """`value[index]`."""

    value: Expr
    index: Expr


@dataclass(frozen=True)
class Argument(Node):
    """`value` or `name = value` in a call."""

    name: Identifier | None
    value: Expr


@dataclass(frozen=True)
class Call(Node):
    callee: Name
    arguments: tuple[Argument, ...]


Expr: TypeAlias = (
    "Name | Number | String | Bool | ListLiteral | Unary | Binary | Conditional | Attribute | Index | Call"
)


# Statements -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting(Node):
    """`name = value` between braces."""

    name: Identifier
    value: Expr


@dataclass(frozen=True)
class Assign(Node):
    """`a, b = value as label`. One target unless the block called returns several values."""

    targets: tuple[Identifier, ...]
    value: Expr
    label: Identifier | None


@dataclass(frozen=True)
class Input(Node):
    """`input image: u8[96, 96, 3] { color = rgb }`; `shape` leaves the batch out."""

    name: Identifier
    element: Identifier
    shape: tuple[Expr, ...]
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Output(Node):
    """`output logits = value as label { labels = "labels.txt" }`."""

    name: Identifier
    value: Expr
    label: Identifier | None
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class TableRow(Node):
    cells: tuple[Expr, ...]


@dataclass(frozen=True)
class Table(Node):
    """`table body { columns… ; rows… }`: one row a line."""

    name: Identifier
    columns: tuple[Identifier, ...]
    rows: tuple[TableRow, ...]


@dataclass(frozen=True)
class For(Node):
    """`for row in body as label { … }`; iterates a table, a `range(…)` or a list."""

    variable: Identifier
    iterable: Expr
    label: Identifier | None
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class If(Node):
    """`if … { … } else { … }`; `else if` arrives as an `If` alone in `otherwise`."""

    condition: Expr
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True)
class Assert(Node):
    """`assert condition, "message"`."""

    condition: Expr
    message: String | None


@dataclass(frozen=True)
class Return(Node):
    values: tuple[Expr, ...]


Statement: TypeAlias = "Assign | Input | Output | Table | For | If | Assert | Return"


# Top level ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter(Node):
    """`alpha: float = 1.0`; `type` is one of tensor, int, float, bool, string, list, activation, symbol."""

    name: Identifier
    type: Identifier
    default: Expr | None


@dataclass(frozen=True)
class UsedName(Node):
    """`name` or `name as alias` between the braces of a `use`."""

    name: Identifier
    alias: Identifier | None


@dataclass(frozen=True)
class Use(Node):
    """`use std.blocks { conv_bn }` or `use "file.mnet" { block }`; `path` is `std.blocks` or the file's text."""

    path: str
    is_file: bool
    path_span: Span
    names: tuple[UsedName, ...]


@dataclass(frozen=True)
class Block(Node):
    """A function of the language, expanded where it is called. `doc` is the text of its `///` lines."""

    name: Identifier
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]
    doc: str


@dataclass(frozen=True)
class Model(Node):
    name: Identifier
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]
    doc: str


@dataclass(frozen=True)
class Section(Node):
    """`quantize int8 { … }` or `target cortex_m4 { … }` inside a `deploy`."""

    name: Identifier
    argument: Identifier | None
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Deploy(Node):
    """`deploy NAME of MODEL(arguments) { settings, sections and tables }`."""

    name: Identifier
    model: Identifier
    arguments: tuple[Argument, ...]
    settings: tuple[Setting, ...]
    sections: tuple[Section, ...]
    tables: tuple[Table, ...]
    doc: str


Item: TypeAlias = "Use | Block | Model | Deploy"


@dataclass(frozen=True)
class MnetFile(Node):
    """One parsed file. `version` is the language edition of its first line."""

    source: SourceFile
    version: int
    items: tuple[Item, ...]
