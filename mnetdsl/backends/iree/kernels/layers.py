"""Which layers have an own kernel, and what it is given. Each function emits its layer, or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, TypeVar

from mnetdsl.backends.iree.kernels.ahead import Asking
from mnetdsl.backends.iree.kernels.chain import Chain, Layer, Stage
from mnetdsl.backends.iree.kernels.chains import Chaining, Join
from mnetdsl.backends.iree.kernels.channels import Elementwise as ElementwiseKernel
from mnetdsl.backends.iree.kernels.channels import GlobalPool, Unary
from mnetdsl.backends.iree.kernels.depthwise import Depthwise
from mnetdsl.backends.iree.kernels.executables import FLOAT
from mnetdsl.backends.iree.kernels.filters import Filter, Unsuitable, describe
from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.packing import pad_last
from mnetdsl.backends.iree.kernels.pairs import PairPointwise
from mnetdsl.backends.iree.kernels.pointwise import Pointwise
from mnetdsl.backends.iree.kernels.slices import Slices, Total
from mnetdsl.backends.iree.kernels.storage import F32
from mnetdsl.backends.iree.kernels.tiles import PadMap, TileConvolution
from mnetdsl.backends.iree.kernels.workshop import OwnLayer, Shop, reshape
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.pool import GlobalAvgPool
from mnetdsl.ir.ops.unary import UnaryOp

T = TypeVar("T")


@dataclass(frozen=True)
class Workshop(Shop):
    """For processors with vectors."""

    isa: Isa
    chaining: Chaining
    asking: Mapping[Op, Asking] = field(default_factory=dict)
    _known: dict[object, Any] = field(default_factory=dict, repr=False)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gave for `key` when it was asked for first: layers are looked at before they are emitted, and
        some proofs take long."""
        if key not in self._known:
            self._known[key] = make()
        found: T = self._known[key]
        return found


def filter_layer(shop: Workshop, op: Op) -> str | Unsuitable:
    """A convolution or a dense layer."""
    filter = describe(op, shop.scope.array)
    if isinstance(filter, Unsuitable):
        return filter
    source = shop.map(filter.input) if filter.takes_map(shop.storage) else shop.scope.packed(filter.input)
    kernel = filter.kernel(shop.isa, source.pitch, shop.storage, shop.elements(op, source.element))
    value = source.value
    if isinstance(kernel, Pointwise) and op in shop.asking:
        kernel = replace(kernel, upcoming=shop.asking[op].upcoming, near=shop.asking[op].near)
    if isinstance(kernel, TileConvolution) and filter.kind == "convolution" and kernel.window != filter.window:
        (value,) = shop.executables.dispatch(PadMap(filter.window, kernel.window.size, source.pitch), [value])
    arguments = [value, *_parameters(shop, op, filter, kernel)]
    if filter.residual is not None:
        arguments.append(shop.lanewise(filter.residual))
    return shop.run(op, kernel, arguments)


def join_floats(shop: Workshop, join: Join) -> str:
    """Several layers as one kernel; the last one's result is bound. Returns the kernel's name."""
    return (_slices if join.sliced else _chain)(shop, join.layers)


def _chain(shop: Workshop, layers: Sequence[Op]) -> str:
    filters = [describe(op, shop.scope.array) for op in layers]
    stages: list[Stage] = []
    arguments: list[MlirValue] = []
    for op, filter in zip(layers, filters, strict=True):
        assert isinstance(filter, Filter)
        if stages:
            pitch = stages[-1].layer.channels
        elif filter.kind == "depthwise":
            pitch = shop.width(filter.input)
            arguments.append(shop.lanewise(filter.input))
        else:
            source = shop.scope.packed(filter.input)
            pitch = source.pitch
            arguments.append(source.value)
        stages.append(filter.stage(shop.isa, pitch))
        arguments += _parameters(shop, op, filter, stages[-1].layer)
        if filter.residual is not None:  # only the last one's: the chain ends at a residual
            arguments.append(shop.lanewise(filter.residual))
    return shop.run(
        layers[-1], Chain(tuple(stages), shop.chaining.bands, len(arguments) > 1 + 2 * len(stages)), arguments
    )


def _slices(shop: Workshop, layers: Sequence[Op]) -> str:
    first, second, *projected = (describe(op, shop.scope.array) for op in layers)
    assert isinstance(first, Filter)
    assert isinstance(second, Filter)
    threads = shop.chaining.threads
    source = shop.scope.packed(first.input)
    pointwise = first.sliced(shop.isa, source.pitch, threads)
    depthwise = second.kernel(shop.isa, pointwise.channels, shop.storage, FLOAT)
    assert isinstance(depthwise, Depthwise)
    arguments = [
        source.value,
        *_parameters(shop, layers[0], first, pointwise),
        *_parameters(shop, layers[1], second, depthwise),
    ]
    if not projected:
        return shop.run(layers[-1], Slices(pointwise, depthwise), arguments)
    (last,), op = projected, layers[-1]
    assert isinstance(last, Filter)
    projection = last.kernel(shop.isa, depthwise.channels, shop.storage, FLOAT)
    assert isinstance(projection, Pointwise)
    kernel = Slices(pointwise, depthwise, projection, threads)
    weights = kernel.by_slices(last.matrix(depthwise.channels, projection.channels))
    sums, _ = shop.executables.dispatch(kernel, [*arguments, shop.scope.prepared(f"{op.name}.packed", weights)])
    bias = shop.scope.prepared(f"{op.name}.packed_bias", pad_last(last.bias, projection.channels))
    added = [] if last.residual is None else [shop.lanewise(last.residual)]
    total = Total(
        threads,
        projection.rows,
        projection.channels,
        projection.lanes,
        projection.activation,
        last.residual is not None,
    )
    shop.run(op, total, [sums, bias, *added])
    return kernel.name


def _parameters(
    shop: Workshop, op: Op, filter: Filter, layer: Layer | TileConvolution | PairPointwise
) -> list[MlirValue]:
    weights, bias = filter.packed(layer)
    return [shop.scope.prepared(f"{op.name}.packed", weights), shop.scope.prepared(f"{op.name}.packed_bias", bias)]


def global_avg_pool(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, GlobalAvgPool)
    pixels = prod(op.input.type.shape[1:3])
    return shop.run(
        op, GlobalPool(pixels, shop.width(op.result), shop.isa.lanes, shop.elements(op)), [shop.lanewise(op.input)]
    )


def elementwise(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Elementwise)
    left, right = op.left, op.right
    if left.type.shape != op.type.shape and op.opcode != "sub":
        left, right = right, left
    pixels = prod(op.type.shape[:-1])
    one_pixel = right.type.shape[-1] == op.type.shape[-1] and prod(right.type.shape) == right.type.shape[-1]
    if left.type.shape != op.type.shape or not (right.type.shape == op.type.shape or one_pixel):
        return Unsuitable("it spreads sizes of 1 in another way than over all pixels")
    constant = shop.scope.array(right) if one_pixel else None
    if constant is None:
        other = shop.lanewise(right)
    else:
        other = shop.scope.prepared(f"{op.name}.packed", pad_last(constant.reshape(-1), shop.width(op.result)))
    kernel = ElementwiseKernel(
        op.opcode,
        pixels,
        shop.width(op.result),
        shop.isa.lanes,
        one_pixel and pixels > 1,
        op.activation,
        shop.elements(op, other=None if constant is None else F32),
    )
    return shop.run(op, kernel, [shop.lanewise(left), other])


def unary(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, UnaryOp)
    source = shop.lanewise(op.input)
    pixels = prod(op.type.shape[:-1])
    kernel = Unary(op.opcode, pixels * shop.width(op.result), shop.isa.lanes, shop.elements(op))
    return shop.run(op, kernel, [source])


OWN_LAYERS: dict[str, OwnLayer] = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "dense"), filter_layer),
    "global_avg_pool": global_avg_pool,
    "add": elementwise,
    "mul": elementwise,
    "reshape": reshape,
    **dict.fromkeys(("relu", "relu6", "hard_sigmoid", "hard_swish", "sigmoid", "silu", "gelu", "tanh"), unary),
}
"""By opcode. An operation that is missing here always takes linalg."""
