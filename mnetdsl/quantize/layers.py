"""The layers with weights: their arrays, one row per output channel, and what a filter is multiplied with."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

Array = NDArray[np.generic]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Resources = Mapping[str, Array]


@dataclass(frozen=True)
class Layer:
    """A convolution or dense layer of a float graph, its filter and bias constants that it alone reads.

    A filter as rows is [O, K]: one row per output channel, in the order of a window's pixels and their channels.
    """

    op: Conv2d | DepthwiseConv2d | Dense
    weight: str
    bias: str | None

    @property
    def name(self) -> str:
        return self.op.name

    @property
    def input(self) -> Value:
        return self.op.input

    @property
    def depthwise(self) -> bool:
        return isinstance(self.op, DepthwiseConv2d)

    @property
    def outputs(self) -> int:
        return self.op.type.shape[-1]

    def rows(self, resources: Resources) -> Doubles:
        """The filter [O, K]."""
        return self.as_rows(np.asarray(resources[self.weight], np.float64))

    def as_rows(self, filter: Doubles) -> Doubles:
        if isinstance(self.op, DepthwiseConv2d):
            height, width = filter.shape[:2]
            return np.ascontiguousarray(filter.reshape(height * width, -1).T)
        return np.ascontiguousarray(filter.reshape(-1, filter.shape[-1]).T)

    def from_rows(self, rows: NDArray[np.generic]) -> Array:
        """The filter in its own layout; keeps the element type."""
        return np.ascontiguousarray(rows.T).reshape(self.op.filter.type.shape)

    def apply(self, rows: Doubles, seen: Floats) -> Floats:
        """The layer's results [P, O] without bias for filter rows [O, K] and `windows` [P, K], or [P, C, K]."""
        if not self.depthwise:
            return seen @ rows.T.astype(np.float32)
        multiplied = rows.reshape(seen.shape[1], -1, rows.shape[1]).astype(np.float32)
        results: Floats = np.einsum("pck,cmk->pcm", seen, multiplied)
        return results.reshape(len(seen), -1)

    def biases(self, resources: Resources) -> Doubles:
        """The bias [O], zeros where the layer has none."""
        if self.bias is None:
            return np.zeros(self.outputs)
        return np.asarray(resources[self.bias], np.float64)

    def store(self, resources: MutableMapping[str, Array], rows: Doubles, biases: Doubles) -> None:
        """Writes float weights back. A layer without bias keeps none."""
        resources[self.weight] = self.from_rows(rows).astype(np.float32)
        if self.bias is not None:
            resources[self.bias] = biases.astype(np.float32)


def weighted_layers(module: Module) -> dict[str, Layer]:
    """The layers of `module` with weights in constants, by name, in order."""
    found: dict[str, Layer] = {}
    for op in module.graph.operations:
        if isinstance(op, Conv2d | DepthwiseConv2d | Dense) and (layer := layer_of(op)) is not None:
            found[op.name] = layer
    return found


def layer_of(op: Op) -> Layer | None:
    if not isinstance(op, Conv2d | DepthwiseConv2d | Dense):
        return None
    filter = op.filter.producer
    bias = None if op.bias is None else op.bias.producer
    if not isinstance(filter, Constant) or not (bias is None or isinstance(bias, Constant)):
        return None
    return Layer(op, filter.resource, None if bias is None else bias.resource)


def windows(layer: Layer, values: Floats, most: int) -> Floats:
    """What the filter's rows are multiplied with, at up to `most` places of each image, evenly spread.

    values [N, …] is the layer's input. Returns [P, K], for depthwise layers [P, C, KH * KW].
    """
    op = layer.op
    if isinstance(op, Dense):
        return values.reshape(-1, values.shape[-1])
    top, bottom, left, right = op.padding
    if any(op.padding):
        values = np.pad(values, ((0, 0), (top, bottom), (left, right), (0, 0)))
    height, width = op.filter.type.shape[:2]
    tall, wide = (height - 1) * op.dilations[0] + 1, (width - 1) * op.dilations[1] + 1
    view = sliding_window_view(values, (tall, wide), axis=(1, 2))
    view = view[:, :: op.strides[0], :: op.strides[1], :, :: op.dilations[0], :: op.dilations[1]]
    batch, rows, columns, channels = view.shape[:4]
    places = np.unique(np.linspace(0, rows * columns - 1, min(most, rows * columns)).astype(np.int64))
    picked = view[:, places // columns, places % columns]
    if layer.depthwise:
        return np.ascontiguousarray(picked).reshape(batch * len(places), channels, height * width)
    return np.ascontiguousarray(picked.transpose(0, 1, 3, 4, 2)).reshape(batch * len(places), -1)
