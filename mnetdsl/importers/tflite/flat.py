"""What a TensorFlow Lite file says, as plain data: everything that the importer needs, nothing interpreted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.types import Shape

Array = NDArray[Any]

ELEMENTS: dict[str, tuple[str, int]] = {
    "FLOAT32": ("<f4", 4),
    "FLOAT16": ("<f2", 2),
    "INT32": ("<i4", 4),
    "UINT8": ("u1", 1),
    "INT8": ("i1", 1),
    "INT16": ("<i2", 2),
    "INT64": ("<i8", 8),
    "BOOL": ("?", 1),
}
"""Element types whose arrays are read -> NumPy's name and bytes."""


@dataclass(frozen=True)
class FlatQuantization:
    """real = (stored - zero_point) * scale; one pair, or one for each index of dimension `axis`."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int


@dataclass(frozen=True, eq=False)
class FlatTensor:
    """`shape` has the batch. `data` is a view into the file, None where the tensor is computed."""

    number: int
    name: str
    shape: Shape
    element: str
    quantization: FlatQuantization | None
    data: NDArray[np.uint8] | None
    sparse: bool = False
    variable: bool = False

    @property
    def constant(self) -> bool:
        return self.data is not None

    def array(self) -> Array:
        """The values of a constant of a type in `ELEMENTS`; the reader has checked that they fill the shape."""
        assert self.data is not None
        return np.frombuffer(self.data, ELEMENTS[self.element][0]).reshape(self.shape)

    def __str__(self) -> str:
        """`conv1/weights 8x3x3x3 int8`."""
        sizes = "x".join(map(str, self.shape)) or "scalar"
        return f"`{self.name or self.number}` {sizes} {self.element.lower()}"

    @property
    def count(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class FlatOperator:
    """`code` is the name in the schema, `CUSTOM` for those of `custom`. Inputs that are left out are -1."""

    number: int
    code: str
    custom: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int | float | bool]


@dataclass(frozen=True)
class FlatModel:
    """The first subgraph, which is the network. `metadata` holds further buffers by name."""

    path: str
    description: str
    tensors: tuple[FlatTensor, ...]
    operators: tuple[FlatOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int
    input_names: Mapping[int, str]
    output_names: Mapping[int, str]
    metadata: Mapping[str, bytes]
