"""What an ONNX file says, as plain data: everything that the importer needs, nothing interpreted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

from mnetdsl.ir.types import Shape

Array = NDArray[Any]
Attribute: TypeAlias = "int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | Array"


@dataclass(frozen=True, eq=False)
class Node:
    """`kind` is the operator, with its domain in front where that is not ONNX's own. Operands that are left out are
    empty names."""

    number: int
    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]

    def integer(self, name: str, default: int) -> int:
        found = self.attributes.get(name, default)
        if not isinstance(found, int):
            raise ValueError(f"`{name}` is no integer")
        return found

    def number_of(self, name: str, default: float) -> float:
        found = self.attributes.get(name, default)
        if not isinstance(found, int | float):
            raise ValueError(f"`{name}` is no number")
        return float(found)

    def text(self, name: str, default: str) -> str:
        found = self.attributes.get(name, default)
        if not isinstance(found, str):
            raise ValueError(f"`{name}` is no text")
        return found

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        found = self.attributes.get(name, default)
        if not isinstance(found, tuple) or not all(isinstance(item, int) for item in found):
            raise ValueError(f"`{name}` is no list of integers")
        return tuple(int(item) for item in found)

    def input(self, place: int) -> str:
        """The name of an operand, empty where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else ""


@dataclass(frozen=True)
class FlatPort:
    """An input or output. Sizes that the file leaves open are 0; `element` is ONNX's name of the type."""

    name: str
    shape: Shape
    element: str


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """The graph of a file. `opset` is the version of ONNX's own operators."""

    path: str
    producer: str
    opset: int
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    inputs: tuple[FlatPort, ...]
    outputs: tuple[FlatPort, ...]
    metadata: Mapping[str, str]
    """Entries beside the graph, by key."""
