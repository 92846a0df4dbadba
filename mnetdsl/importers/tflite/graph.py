"""The network in a TensorFlow Lite file in terms of the language: layers with arguments, values with their storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mnetdsl.importers.tflite.flat import Array, FlatQuantization
from mnetdsl.ir.types import Shape

STORED = {"UINT8": "u8", "INT8": "i8", "INT16": "i16"}
"""Element types of quantized activations -> what the table of a deployment calls them."""

KEEPS_STORAGE = frozenset({"reshape", "pad", "max_pool", "avg_pool", "slice", "transpose", "resize"})
"""Operations whose result is stored with the numbers of their input."""

Argument = int | float | str | bool | tuple[int, ...] | tuple[float, ...]


@dataclass(frozen=True)
class Storage:
    """How a quantized value is stored: one row of the table `quantization`."""

    element: str
    scale: float
    zero_point: int

    @property
    def bounds(self) -> tuple[int, int]:
        return {"u8": (0, 255), "i8": (-128, 127), "i16": (-32768, 32767)}[self.element]


@dataclass(frozen=True)
class Value:
    """What a layer computes. `tensor` is its number in the file, None for a step that the file does not show."""

    number: int
    shape: Shape
    storage: Storage | None
    tensor: int | None
    name: str = ""


@dataclass(frozen=True)
class Requantized:
    """The new numbers of a value, and the tensor of the file that has them."""

    storage: Storage
    tensor: int


@dataclass(frozen=True, eq=False)
class Constant:
    """An array of the file with its element type there, and its scales where it is quantized."""

    array: Array
    element: str
    quantization: FlatQuantization | None = None
    name: str = ""

    def real(self) -> Array:
        """float32 values."""
        if self.quantization is None:
            return self.array.astype(np.float32)
        shape = [1] * self.array.ndim
        if len(self.quantization.scales) > 1:
            shape[self.quantization.axis] = -1
        scales = np.array(self.quantization.scales, np.float32).reshape(shape)
        points = np.array(self.quantization.zero_points, np.int64).reshape(shape)
        centred = self.array.astype(np.int64) - points
        return (centred.astype(np.float32) * scales).astype(np.float32)

    @property
    def storage(self) -> Storage | None:
        if self.quantization is None or self.element not in STORED:
            return None
        return Storage(STORED[self.element], self.quantization.scales[0], self.quantization.zero_points[0])


@dataclass(frozen=True, eq=False)
class Layer:
    """One operation of the language. `inputs` are numbers of values; a constant operand stands in `constants` by its
    position among the operands. `activation` is the clamp that the operator carries: none, relu or relu6.

    `filter` is in the language's layout; `bias` may be absent.
    """

    operator: int
    operation: str
    inputs: tuple[int, ...]
    output: int
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    activation: str = "none"
    filter: Constant | None = None
    bias: Constant | None = None
    constants: Mapping[int, Constant] = field(default_factory=dict)

    @property
    def weighted(self) -> bool:
        return self.filter is not None


def searched(value: int, layers: Sequence[Layer]) -> int | None:
    """The scores of which `value` is, through layers that move them, indices of the largest; None where it is not."""
    makers = {layer.output: layer for layer in layers}
    while value in makers and makers[value].operation in _MOVES:
        value = makers[value].inputs[0]
    found = value in makers and makers[value].operation == "argmax"
    return makers[value].inputs[0] if found else None


def classes_of(value: int, values: Mapping[int, Value], layers: Sequence[Layer]) -> int:
    """How many there are where `value` is scores, or indices of classes."""
    scores = searched(value, layers)
    return values[value if scores is None else scores].shape[-1]


_MOVES = ("reshape", "transpose", "slice")


@dataclass(frozen=True)
class ImportInput:
    """`name` of the language. An image is u8 with `mean` and `std`; other inputs are float32.

    `tensor` is the model's own input, `storage` how the network behind it stores the pixels.
    """

    name: str
    value: int
    shape: Shape
    image: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tensor: int
    element: str
    stored: int | None = None
    """The tensor with the pixels as the quantized network stores them."""
    channels_first: bool = False
    """Whether the file takes [1, C, H, W] and turns it around itself."""


@dataclass(frozen=True)
class ImportOutput:
    """`row` is a conversion at the very end: what the caller gets in place of the value's own storage, or "f32"."""

    name: str
    value: int
    tensor: int
    labels: tuple[str, ...] = ()
    row: Storage | str | None = None


@dataclass(frozen=True, eq=False)
class ImportGraph:
    """Layers in an order in which each stands behind what it reads."""

    values: Mapping[int, Value]
    layers: tuple[Layer, ...]
    inputs: tuple[ImportInput, ...]
    outputs: tuple[ImportOutput, ...]
    requantized: Mapping[int, Requantized]
    """Values that the file stores anew behind the layer that made them; everyone behind reads the new numbers."""
    notes: tuple[str, ...] = ()

    @property
    def quantized(self) -> bool:
        return any(value.storage is not None for value in self.values.values())

    def storage(self, value: int) -> Storage | None:
        again = self.requantized.get(value)
        return self.values[value].storage if again is None else again.storage

    def with_layers(self, layers: tuple[Layer, ...]) -> ImportGraph:
        return replace(self, layers=layers)

    def readers(self) -> dict[int, list[int]]:
        """Value -> positions of the layers that read it, one entry per use."""
        found: dict[int, list[int]] = {value: [] for value in self.values}
        for position, layer in enumerate(self.layers):
            for value in layer.inputs:
                found[value].append(position)
        return found
