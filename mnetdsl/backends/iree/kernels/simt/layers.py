"""Which float layers have a kernel of scalar invocations, and what it is given."""

from __future__ import annotations

from math import prod

import numpy as np

from mnetdsl.backends.iree.kernels.executables import Call, Sized
from mnetdsl.backends.iree.kernels.filters import Unsuitable, describe
from mnetdsl.backends.iree.kernels.packing import pad_last
from mnetdsl.backends.iree.kernels.simt.maps import SimtElementwise, SimtPool
from mnetdsl.backends.iree.kernels.simt.pointwise import FEW_ROWS, SimtPointwise, SimtRows
from mnetdsl.backends.iree.kernels.simt.window import SimtConvolution, SimtDepthwise
from mnetdsl.backends.iree.kernels.workshop import OwnLayer, Shop, reshape
from mnetdsl.backends.iree.layout import Packed
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.pool import GlobalAvgPool
from mnetdsl.ir.ops.unary import UnaryOp


def filter_layer(shop: Shop, op: Op) -> str | Unsuitable:
    """A convolution or a dense layer."""
    filter = describe(op, shop.scope.array)
    if isinstance(filter, Unsuitable):
        return filter
    if filter.activation not in ACTIVATIONS:
        return Unsuitable(f"`{filter.activation}` is left to linalg")
    channels, added = shop.width(op.result), filter.residual is not None
    weights = pad_last(filter.weights, channels)
    source = shop.scope.packed(filter.input) if filter.kind == "convolution" else shop.map(filter.input)
    kernel: SimtPointwise | SimtRows | SimtConvolution | SimtDepthwise
    if filter.kind == "pointwise":
        weights = weights.reshape(-1, channels)
        weights = np.pad(weights, [(0, source.pitch - len(weights)), (0, 0)])
        rows = prod(filter.window.outputs)
        kernel = (SimtRows if rows < FEW_ROWS else SimtPointwise)(filter.activation, added)
        call = kernel.call(rows, source.pitch, channels)
    else:
        kernel = (SimtDepthwise if filter.kind == "depthwise" else SimtConvolution)(filter.activation, added)
        call = kernel.call(filter.window, source.pitch, filter.weights.shape[2], channels)
    arguments = [
        source.value,
        shop.scope.prepared(f"{op.name}.packed", weights),
        shop.scope.prepared(f"{op.name}.packed_bias", pad_last(filter.bias, channels)),
    ]
    if filter.residual is not None:
        arguments.append(shop.lanewise(filter.residual))
    return run(shop, op, kernel, arguments, call)


def run(shop: Shop, op: Op, kernel: Sized, arguments: list[MlirValue], call: Call) -> str:
    """Emits the layer and returns its kernel's name."""
    result = shop.executables.dispatch_sized(kernel, arguments, call)
    shop.scope.bind_packed(op.result, Packed(result, shop.width(op.result)))
    return kernel.name


def global_avg_pool(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, GlobalAvgPool)
    kernel = SimtPool()
    call = kernel.call(prod(op.input.type.shape[1:3]), shop.width(op.result))
    return run(shop, op, kernel, [shop.lanewise(op.input)], call)


def elementwise(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Elementwise)
    left, right = op.left, op.right
    if left.type.shape != op.type.shape:
        left, right = right, left
    pixels = prod(op.type.shape[:-1])
    one_pixel = right.type.shape[-1] == op.type.shape[-1] and prod(right.type.shape) == right.type.shape[-1]
    if left.type.shape != op.type.shape or not (right.type.shape == op.type.shape or one_pixel):
        return Unsuitable("it spreads sizes of 1 in another way than over all pixels")
    if op.activation not in ACTIVATIONS:
        return Unsuitable(f"`{op.activation}` is left to linalg")
    kernel = SimtElementwise(op.opcode, one_pixel and pixels > 1, op.activation)
    call = kernel.call(pixels, shop.width(op.result))
    return run(shop, op, kernel, [shop.lanewise(left), shop.lanewise(right)], call)


def unary(shop: Shop, op: Op) -> str | Unsuitable:
    assert isinstance(op, UnaryOp)
    kernel = SimtElementwise(None, activation=op.opcode)
    call = kernel.call(prod(op.type.shape[:-1]), shop.width(op.result))
    return run(shop, op, kernel, [shop.lanewise(op.input)], call)


ACTIVATIONS = frozenset({"none", "relu", "relu6", "hard_sigmoid", "hard_swish", "sigmoid", "silu"})
"""What SPIR-V has instructions for; the series of the others are IREE's."""

SIMT_LAYERS: dict[str, OwnLayer] = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "dense"), filter_layer),
    "global_avg_pool": global_avg_pool,
    "add": elementwise,
    "mul": elementwise,
    "reshape": reshape,
    **dict.fromkeys(("relu", "relu6", "hard_sigmoid", "hard_swish", "sigmoid", "silu"), unary),
}
"""By opcode. An operation that is missing here always takes linalg."""
