"""Convolutions of every kind and dense layers: what their kernels need, whether they stand alone or in a chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.blocking import FEW_ROWS, WIDEST, choose_block
from mnetdsl.backends.iree.kernels.chain import Layer, Stage
from mnetdsl.backends.iree.kernels.convolution import Convolution
from mnetdsl.backends.iree.kernels.depthwise import Depthwise, choose_strip
from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.packing import pad_last, padded_size, panels
from mnetdsl.backends.iree.kernels.pointwise import Pointwise
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

Array = NDArray[np.float32]
Constants = Callable[[Value | None], Array | None]
"""The array of a constant operand, None for any other."""


@dataclass(frozen=True)
class Unsuitable:
    """No own kernel for this layer: `reason` completes "it runs on linalg, since …"."""

    reason: str


@dataclass(frozen=True, eq=False)
class Filter:
    """weights [KH, KW, I, O], for `depthwise` [KH, KW, C]; bias [O]."""

    kind: Literal["pointwise", "convolution", "depthwise"]
    input: Value
    residual: Value | None
    window: Window
    weights: Array
    bias: Array
    activation: str

    def kernel(self, isa: Isa, pitch: int) -> Layer:
        """The kernel of the whole layer, for an input of this pitch."""
        rows, columns = self.window.outputs
        # A pass over few rows is too short to bring the weights of a wide panel meanwhile.
        widest = 2 if 1 < rows * columns <= FEW_ROWS else WIDEST
        return self._layer(isa, pitch, rows * columns, widest)

    def stage(self, isa: Isa, pitch: int) -> Stage:
        """The layer as one of a chain, for an input of this pitch: its weights are near, since each row reads them."""
        return Stage(self._layer(isa, pitch, self.window.outputs[1], WIDEST), self.window)

    def packed(self, layer: Layer) -> tuple[Array, Array]:
        """Weights and bias as `layer`, from `kernel` or `stage`, reads them; flat."""
        bias = pad_last(self.bias, layer.channels)
        if isinstance(layer, Depthwise):
            return pad_last(self.weights, layer.channels).reshape(-1), bias
        matrix = pad_last(self.weights, layer.channels).reshape(-1, layer.channels)
        return panels(matrix, layer.block.vectors * layer.lanes), bias

    def _layer(self, isa: Isa, pitch: int, pixels: int, widest: int) -> Layer:
        lanes = isa.lanes
        channels = padded_size(self.weights.shape[-1], lanes)
        if self.kind == "depthwise":
            return Depthwise(self.window, channels, lanes, choose_strip(isa, self.window), self.activation)
        added = self.residual is not None
        depth = self.weights.shape[2]
        if self.kind == "pointwise":
            block = choose_block(isa, pixels, channels // lanes, widest)
            return Pointwise(pixels, depth, channels, pitch, lanes, block, self.activation, added)
        # Long strips: each of them has edges where columns are missing.
        block = choose_block(isa, self.window.outputs[1], channels // lanes, widest=2)
        return Convolution(self.window, depth, channels, pitch, lanes, block, self.activation, added)


def describe(op: Op, constants: Constants) -> Filter | Unsuitable:
    """What the kernel of a convolution or dense layer needs."""
    assert isinstance(op, Conv2d | DepthwiseConv2d | Dense)
    weights, bias = constants(op.filter), constants(op.bias)
    if weights is None or (bias is None and op.bias is not None):
        return Unsuitable("its filter or bias is computed, not a constant")
    if bias is None:
        bias = np.zeros(op.type.shape[-1], np.float32)
    if isinstance(op, Dense):
        window = Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0))
        return Filter("pointwise", op.input, None, window, weights[None, None], bias, op.activation)
    if op.dilations != (1, 1):
        return Unsuitable("its window is dilated")
    window = Window.of(op.input.type.shape, weights.shape, op.strides, op.padding)
    if isinstance(op, DepthwiseConv2d):
        if weights.shape[3] != 1:
            return Unsuitable(f"each of its channels has {weights.shape[3]} kernels")
        return Filter("depthwise", op.input, None, window, weights[..., 0], bias, op.activation)
    single = window.kernel == (1, 1) and window.strides == (1, 1) and not any(window.padding)
    kind: Literal["pointwise", "convolution"] = "pointwise" if single else "convolution"
    return Filter(kind, op.input, op.residual, window, weights, bias, op.activation)
