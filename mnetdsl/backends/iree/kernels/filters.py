"""Convolutions of every kind and dense layers: what their kernels need, whether they stand alone or in a chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.amx import DEPTH, ROWS, tiles
from mnetdsl.backends.iree.kernels.bfloat import bits_of
from mnetdsl.backends.iree.kernels.blocking import FEW_ROWS, WIDEST, choose_block, choose_window_block
from mnetdsl.backends.iree.kernels.chain import Layer, Stage
from mnetdsl.backends.iree.kernels.convolution import UNROLLED, Convolution
from mnetdsl.backends.iree.kernels.depthwise import Depthwise, choose_strip
from mnetdsl.backends.iree.kernels.executables import FLOAT, Elements
from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.packing import pad_last, padded_size, panels
from mnetdsl.backends.iree.kernels.pairs import LANES, PairPointwise, paired
from mnetdsl.backends.iree.kernels.pointwise import Pointwise
from mnetdsl.backends.iree.kernels.storage import Storage
from mnetdsl.backends.iree.kernels.tiles import TileConvolution, padded_window
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d

Array = NDArray[np.float32]
Weights = NDArray[np.float32] | NDArray[np.int16]
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

    def kernel(
        self, isa: Isa, pitch: int, storage: Storage, elements: Elements
    ) -> Layer | TileConvolution | PairPointwise:
        """The kernel of the whole layer, for an input of this pitch, which is stored like any map where `takes_map`."""
        if self.kind != "depthwise" and self.takes_map(storage):
            return self._bfloat(isa, pitch, storage, elements)
        rows, columns = self.window.outputs
        # A pass over few rows is too short to bring the weights of a wide panel meanwhile.
        widest = 2 if 1 < rows * columns <= FEW_ROWS else WIDEST
        return self._layer(isa, pitch, rows * columns, widest, storage.multiple, elements)

    def takes_map(self, storage: Storage) -> bool:
        """Whether the kernel reads a map as layers store it for each other, not also any other pitch or element."""
        if self.kind != "convolution":
            return self.kind == "depthwise" or storage.bfloat is not None
        rows, columns = self.window.outputs
        tiled = storage.bfloat is not None and storage.bfloat.tiles
        return tiled and self.weights.shape[2] >= DEPTH // 2 and rows * columns >= ROWS

    def stage(self, isa: Isa, pitch: int) -> Stage:
        """The layer as one of a chain, for an input of this pitch: its weights are near, since each row reads them."""
        return Stage(self._layer(isa, pitch, self.window.outputs[1], WIDEST, isa.lanes, FLOAT), self.window)

    def sliced(self, isa: Isa, pitch: int, threads: int) -> Pointwise:
        """A pointwise layer whose panels are `slices`: as wide ones as give each thread the same number."""
        pixels = self.window.outputs[0] * self.window.outputs[1]
        widest = 2 if pixels <= FEW_ROWS else WIDEST
        layers = [self._layer(isa, pitch, pixels, width, isa.lanes, FLOAT) for width in range(widest, 0, -1)]
        pointwise = [layer for layer in layers if isinstance(layer, Pointwise)]
        return min(pointwise, key=lambda layer: -(-layer.panels // threads) * threads / layer.panels)

    def matrix(self, depth: int, channels: int) -> Array:
        """The weights of a pointwise layer, [depth, channels] with zeros behind its own."""
        rows = pad_last(self.weights, channels).reshape(-1, channels)
        return np.pad(rows, [(0, depth - rows.shape[0]), (0, 0)])

    def packed(self, layer: Layer | TileConvolution | PairPointwise) -> tuple[Weights, Array]:
        """Weights and bias as `layer`, from `kernel` or `stage`, reads them; flat."""
        bias = pad_last(self.bias, layer.channels)
        if isinstance(layer, Depthwise):
            return pad_last(self.weights, layer.channels).reshape(-1), bias
        if isinstance(layer, TileConvolution | PairPointwise):
            taps = np.pad(
                self.weights,
                [(0, 0), (0, 0), (0, layer.depth - self.weights.shape[2]), (0, layer.channels - self.weights.shape[3])],
            )
            bits = bits_of(taps.reshape(-1, layer.channels))
            return tiles(bits) if isinstance(layer, TileConvolution) else paired(
                bits, layer.block.vectors * LANES
            ), bias
        matrix = pad_last(self.weights, layer.channels).reshape(-1, layer.channels)
        return panels(matrix, layer.block.vectors * layer.lanes), bias

    def _bfloat(self, isa: Isa, pitch: int, storage: Storage, elements: Elements) -> TileConvolution | PairPointwise:
        """Tiles where there are pixels to fill one."""
        rows, columns = self.window.outputs
        channels = padded_size(self.weights.shape[-1], storage.multiple)
        added = self.residual is not None
        if storage.bfloat is not None and storage.bfloat.tiles and rows * columns >= ROWS:
            flat = Window((1, rows * columns), (1, 1), (1, 1), (0, 0, 0, 0))
            window = flat if self.kind == "pointwise" else padded_window(self.window)
            return TileConvolution(window, pitch, channels, self.activation, added, elements.target)
        block = choose_block(isa, rows * columns, channels // LANES, WIDEST)
        return PairPointwise(rows * columns, pitch, channels, block, self.activation, added, elements.target)

    def _layer(self, isa: Isa, pitch: int, pixels: int, widest: int, multiple: int, elements: Elements) -> Layer:
        lanes = isa.lanes
        channels = padded_size(self.weights.shape[-1], multiple)
        if self.kind == "depthwise":
            strip = choose_strip(isa, self.window)
            return Depthwise(self.window, channels, lanes, strip, self.activation, elements)
        added = self.residual is not None
        depth = self.weights.shape[2]
        if self.kind == "pointwise":
            block = choose_block(isa, pixels, channels // lanes, widest)
            return Pointwise(pixels, depth, channels, pitch, lanes, block, self.activation, added)
        outputs, kernel, stride = self.window.outputs[1], self.window.kernel[1], self.window.strides[1]
        block, together = choose_window_block(isa, outputs, channels // lanes, kernel, stride, depth <= UNROLLED)
        return Convolution(
            self.window, depth, channels, pitch, lanes, block, together, self.activation, added, elements
        )


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
