"""Which layers have an own kernel, and what it is given. Each function emits its layer, or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.blocking import choose_block
from mnetdsl.backends.iree.kernels.channels import Elementwise as ElementwiseKernel
from mnetdsl.backends.iree.kernels.channels import GlobalPool, Unary
from mnetdsl.backends.iree.kernels.convolution import Convolution
from mnetdsl.backends.iree.kernels.depthwise import Depthwise, choose_strip
from mnetdsl.backends.iree.kernels.executables import Executables, Kernel
from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.packing import pad_last, padded_size, panels
from mnetdsl.backends.iree.kernels.pointwise import Pointwise
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.layout import Packed
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.pool import GlobalAvgPool
from mnetdsl.ir.ops.shape import Reshape
from mnetdsl.ir.ops.unary import UnaryOp

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Unsuitable:
    """No own kernel for this layer: `reason` completes "it runs on linalg, since …"."""

    reason: str


@dataclass(frozen=True)
class Workshop:
    """What a layer is made with: values and constants, executables, the machine."""

    scope: Scope
    executables: Executables
    isa: Isa

    def width(self, value: Value) -> int:
        """Channels of `value` as kernels store them."""
        return padded_size(value.type.shape[-1], self.isa.lanes)

    def lanewise(self, value: Value) -> MlirValue:
        """`value` flat, its channels padded to whole vectors."""
        return self.scope.packed(value, self.width(value)).value

    def run(self, op: Op, kernel: Kernel, arguments: Sequence[MlirValue]) -> str:
        """Emits the layer and returns its kernel's name."""
        (result,) = self.executables.dispatch(kernel, arguments)
        self.scope.bind_packed(op.result, Packed(result, self.width(op.result)))
        return kernel.name


def conv2d(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Conv2d)
    filter = shop.scope.array(op.filter)
    if filter is None or _computed(shop, op.bias):
        return Unsuitable("its filter or bias is computed, not a constant")
    if op.dilations != (1, 1):
        return Unsuitable("its window is dilated")
    depth = filter.shape[2]
    if filter.shape[:2] == (1, 1) and op.strides == (1, 1) and not any(op.padding):
        return _product(shop, op, op.input, filter.reshape(depth, -1), op.residual)
    channels = shop.width(op.result)
    source = shop.scope.packed(op.input)
    window = Window.of(op.input.type.shape, filter.shape, op.strides, op.padding)
    block = choose_block(shop.isa, window.outputs[1], channels // shop.isa.lanes)
    kernel = Convolution(
        window, depth, channels, source.pitch, shop.isa.lanes, block, op.activation, op.residual is not None
    )
    matrix = pad_last(filter, channels).reshape(-1, channels)
    packed = panels(matrix, block.vectors * shop.isa.lanes)
    arguments = [source.value, shop.scope.prepared(f"{op.name}.packed", packed), _bias(shop, op, op.bias, channels)]
    if op.residual is not None:
        arguments.append(shop.lanewise(op.residual))
    return shop.run(op, kernel, arguments)


def dense(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Dense)
    filter = shop.scope.array(op.filter)
    if filter is None or _computed(shop, op.bias):
        return Unsuitable("its filter or bias is computed, not a constant")
    return _product(shop, op, op.input, filter, None)


def _product(
    shop: Workshop, op: Conv2d | Dense, input: Value, matrix: Array, residual: Value | None
) -> str | Unsuitable:
    rows, channels = prod(op.type.shape[:-1]), shop.width(op.result)
    source = shop.scope.packed(input)
    block = choose_block(shop.isa, rows, channels // shop.isa.lanes)
    kernel = Pointwise(
        rows, matrix.shape[0], channels, source.pitch, shop.isa.lanes, block, op.activation, residual is not None
    )
    packed = panels(pad_last(matrix, channels), block.vectors * shop.isa.lanes)
    arguments = [source.value, shop.scope.prepared(f"{op.name}.packed", packed), _bias(shop, op, op.bias, channels)]
    if residual is not None:
        arguments.append(shop.lanewise(residual))
    return shop.run(op, kernel, arguments)


def depthwise_conv2d(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, DepthwiseConv2d)
    filter = shop.scope.array(op.filter)
    if filter is None or _computed(shop, op.bias):
        return Unsuitable("its filter or bias is computed, not a constant")
    if filter.shape[3] != 1:
        return Unsuitable(f"each of its channels has {filter.shape[3]} kernels")
    if op.dilations != (1, 1):
        return Unsuitable("its window is dilated")
    channels = shop.width(op.result)
    window = Window.of(op.input.type.shape, filter.shape, op.strides, op.padding)
    kernel = Depthwise(window, channels, shop.isa.lanes, choose_strip(shop.isa, window), op.activation)
    weights = shop.scope.prepared(f"{op.name}.packed", pad_last(filter[..., 0], channels))
    return shop.run(op, kernel, [shop.lanewise(op.input), weights, _bias(shop, op, op.bias, channels)])


def global_avg_pool(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, GlobalAvgPool)
    pixels = prod(op.input.type.shape[1:3])
    return shop.run(op, GlobalPool(pixels, shop.width(op.result), shop.isa.lanes), [shop.lanewise(op.input)])


def elementwise(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Elementwise)
    left, right = op.left, op.right
    if left.type.shape != op.type.shape:
        left, right = right, left
    pixels = prod(op.type.shape[:-1])
    one_pixel = right.type.shape[-1] == op.type.shape[-1] and prod(right.type.shape) == right.type.shape[-1]
    if left.type.shape != op.type.shape or not (right.type.shape == op.type.shape or one_pixel):
        return Unsuitable("it spreads sizes of 1 in another way than over all pixels")
    kernel = ElementwiseKernel(
        op.opcode, pixels, shop.width(op.result), shop.isa.lanes, one_pixel and pixels > 1, op.activation
    )
    constant = shop.scope.array(right)
    other = shop.lanewise(right)
    if constant is not None and one_pixel:
        other = shop.scope.prepared(f"{op.name}.packed", pad_last(constant.reshape(-1), shop.width(op.result)))
    return shop.run(op, kernel, [shop.lanewise(left), other])


def unary(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, UnaryOp)
    source = shop.lanewise(op.input)
    pixels = prod(op.type.shape[:-1])
    return shop.run(op, Unary(op.opcode, pixels * shop.width(op.result), shop.isa.lanes), [source])


def reshape(shop: Workshop, op: Op) -> str | Unsuitable:
    """Another name for the same bytes, where no padding comes between them."""
    assert isinstance(op, Reshape)
    before, after = op.input.type.shape, op.type.shape
    same_pixels = before[-1] == after[-1]
    if not same_pixels and (before[-1] % shop.isa.lanes or after[-1] % shop.isa.lanes):
        return Unsuitable("it moves channels that are stored with padding")
    source = shop.lanewise(op.input)
    shop.scope.bind_packed(op.result, Packed(source, shop.width(op.result)))
    return "reshape"


OwnLayer = Callable[[Workshop, Op], str | Unsuitable]

OWN_LAYERS: dict[str, OwnLayer] = {
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "dense": dense,
    "global_avg_pool": global_avg_pool,
    "add": elementwise,
    "mul": elementwise,
    "reshape": reshape,
    **dict.fromkeys(("relu", "relu6", "hard_sigmoid", "hard_swish", "sigmoid", "silu", "gelu", "tanh"), unary),
}
"""By opcode. An operation that is missing here always takes linalg."""


def _computed(shop: Workshop, bias: Value | None) -> bool:
    return bias is not None and shop.scope.array(bias) is None


def _bias(shop: Workshop, op: Op, bias: Value | None, channels: int) -> MlirValue:
    array = shop.scope.array(bias)
    values = np.zeros(0, np.float32) if array is None else array
    return shop.scope.prepared(f"{op.name}.packed_bias", pad_last(values, channels))
