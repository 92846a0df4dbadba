"""What the IR text says before it means anything: operations, attributes and locations with their spans."""

from __future__ import annotations

from dataclasses import dataclass

from mnetdsl.ir.types import TensorType
from mnetdsl.source import Span


@dataclass(frozen=True)
class FunctionType:
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]


@dataclass(frozen=True)
class LocationNode:
    """`"name"(child)`, `"file":line:column`, `#alias` or `unknown` (all None)."""

    span: Span
    name: str | None = None
    child: LocationNode | None = None
    place: tuple[str, int, int] | None = None
    alias: str | None = None


@dataclass(frozen=True)
class Attribute:
    span: Span
    value: AttributeContent


@dataclass(frozen=True)
class Dictionary:
    """Keys in the order written; `spans` holds where each key stands."""

    items: dict[str, Attribute]
    spans: dict[str, Span]


AttributeContent = (
    bool | int | float | str | tuple[Attribute, ...] | Dictionary | TensorType | FunctionType | LocationNode
)


@dataclass(frozen=True)
class ValueName:
    span: Span
    text: str


@dataclass(frozen=True)
class BlockArgument:
    name: ValueName
    type: TensorType
    location: LocationNode | None


@dataclass(frozen=True)
class Region:
    span: Span
    arguments: tuple[BlockArgument, ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Operation:
    """`span` covers the name; `attributes` joins the properties `<{…}>` and the dictionary `{…}`."""

    span: Span
    name: str
    result: ValueName | None
    operands: tuple[ValueName, ...]
    regions: tuple[Region, ...]
    attributes: Dictionary
    type: tuple[tuple[TensorType, ...], tuple[TensorType, ...]]
    location: LocationNode | None


@dataclass(frozen=True)
class File:
    operation: Operation
    aliases: dict[str, LocationNode]
