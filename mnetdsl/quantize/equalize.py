"""Cross-layer equalization: channels of one tensor scaled towards one range, the network's function unchanged.

A tensor has one scale for all its channels, so one large channel takes the codes away from the others. Where what lies
between two layers is positively homogeneous, f(s x) = s f(x) for s > 0, channel c may be divided by s_c behind the
layers that make it, in their filters' rows and biases, and multiplied by s_c in the filters that read it (Nagel et
al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, eq. 8). They choose s by the ranges
of weights (eq. 11), since they have no images; here the ranges of the channels are measured (as in Meller et al.,
"Same, Same But Different", 2019). s_c is the square root of a channel's share of the tensor's range: all of it would
take from the weights that read the tensor, whose rows span several of its channels, what the tensor gains.

Through what it goes, and through what not:

* `relu`, pools, zero padding, reshapes that keep the channels: homogeneous, so the same s holds on both sides.
* `add`: all operands and the result share one s. A chain of residuals is one group of tensors.
* Squeeze-and-excite: the gate is not scaled; the gated tensor is, and with it the pooled one, which the gate's first
  layer reads: it gets s like every reader. Valid where the tensor itself is homogeneous: behind `relu`.
* `relu6`, `hard_swish`, `hard_sigmoid`, `sigmoid`, softmax: f(s x) is not s f(x). No channel of their operand or result
  is scaled: relu6 clips at 6, not at 6 / s, and hard-swish bends at 3.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.quantize.layers import Layer, layer_of

Array = NDArray[np.generic]
Doubles = NDArray[np.float64]

_FLOOR = 1.0 / 64
"""Of the largest channel's range, for channels that were seen small: on other images they may be larger."""
_HOMOGENEOUS = ("none", "relu")
_CARRIERS = frozenset({"relu", "global_avg_pool", "avg_pool", "max_pool", "pad", "reshape", "slice", "upsample"})


@dataclass
class Group:
    """Values whose channels are scaled alike, the layers that make them, and those that read them."""

    values: list[Value] = field(default_factory=list)
    producers: list[Layer] = field(default_factory=list)
    consumers: list[Layer] = field(default_factory=list)
    fixed: bool = False


@dataclass(frozen=True)
class Equalized:
    """A group that was equalized: how far apart its channels' ranges were, largest by median, before."""

    tensors: tuple[str, ...]
    spread: float


class _Groups:
    """Union of values by what operations demand."""

    def __init__(self) -> None:
        self.parent: dict[Value, Value] = {}
        self.fixed: set[Value] = set()
        self.producers: list[Layer] = []
        self.consumers: list[Layer] = []

    def root(self, value: Value) -> Value:
        self.parent.setdefault(value, value)
        while self.parent[value] is not value:
            self.parent[value] = self.parent[self.parent[value]]
            value = self.parent[value]
        return value

    def tie(self, *values: Value) -> None:
        first = self.root(values[0])
        for value in values[1:]:
            other = self.root(value)
            if other is not first:
                self.parent[other] = first

    def fix(self, *values: Value) -> None:
        self.fixed.update(values)

    def visit(self, op: Op) -> None:
        layer = layer_of(op)
        if layer is not None and _scalable(layer):
            self.producers.append(layer)
            self.consumers.append(layer)
            self.root(layer.input)
            self.root(op.result)
            if op.attributes.get("activation", "none") not in _HOMOGENEOUS:
                self.fix(op.result)
        elif op.opcode == "add" and op.attributes.get("activation", "none") in _HOMOGENEOUS and _alike(op):
            self.tie(op.result, *op.operands)
        elif op.opcode == "mul" and op.attributes.get("activation", "none") in _HOMOGENEOUS and _gate(op) is not None:
            gate = _gate(op)
            self.tie(op.result, *[value for value in op.operands if value is not gate])
            self.fix(*[value for value in op.operands if value is gate])
        elif op.opcode in _CARRIERS and op.operands[0].type.shape[-1] == op.type.shape[-1] and _pads_zero(op):
            self.tie(op.result, op.operands[0])
        else:
            self.fix(op.result, *op.operands)

    def groups(self) -> list[Group]:
        found: dict[Value, Group] = {}
        for value in self.parent:
            group = found.setdefault(self.root(value), Group())
            group.values.append(value)
            group.fixed = group.fixed or value in self.fixed or isinstance(value.producer, Constant)
        for layer in self.producers:
            found[self.root(layer.op.result)].producers.append(layer)
            found[self.root(layer.input)].consumers.append(layer)
        return [group for group in found.values() if not group.fixed and group.producers and group.consumers]


def _scalable(layer: Layer) -> bool:
    if layer.op.opcode == "conv2d" and getattr(layer.op, "residual", None) is not None:
        return False
    return not layer.depthwise or layer.op.filter.type.shape[-1] == 1


def _alike(op: Op) -> bool:
    return all(value.type.shape == op.type.shape for value in op.operands)


def _gate(op: Op) -> Value | None:
    """Of a squeeze-and-excite: the operand that has one number a channel."""
    left, right = op.operands
    small = [value for value in (left, right) if value.type.elements == value.type.shape[-1]]
    large = [value for value in (left, right) if value.type.shape == op.type.shape]
    if len(small) == 1 and len(large) == 1 and small[0] is not large[0] and not isinstance(small[0].producer, Constant):
        return small[0]
    return None


def _pads_zero(op: Op) -> bool:
    return op.opcode != "pad" or op.attributes.get("value", 0.0) == 0.0


def scalable_groups(module: Module) -> list[Group]:
    """The groups of a `quantizable` module whose channels may be scaled, in order."""
    groups = _Groups()
    for port in module.graph.inputs:
        groups.fix(port.value)
    for op in module.graph.operations:
        if not isinstance(op, Constant):
            groups.visit(op)
    for port in module.graph.outputs:
        groups.root(port.value)
        groups.fix(port.value)
    return groups.groups()


def equalize(module: Module, resources: MutableMapping[str, Array], extents: Mapping[str, Doubles]) -> list[Equalized]:
    """Scales the channels of all groups, in `resources`; the network computes the same numbers, up to rounding.

    extents: tensor -> largest magnitude of each channel [C], as seen on calibration images.
    """
    found = []
    for group in scalable_groups(module):
        names = [value.producer.name for value in group.values if value.producer is not None]
        known = [extents[name] for name in names if name in extents and extents[name].max(initial=0.0) > 0.0]
        if not known:
            continue
        shares = np.max([extent / extent.max() for extent in known], axis=0)
        shares = np.maximum(shares / shares.max(), _FLOOR)
        scales = np.sqrt(shares)
        for layer in group.producers:
            layer.store(resources, layer.rows(resources) / scales[:, None], layer.biases(resources) / scales)
        for layer in group.consumers:
            rows = layer.rows(resources)
            repeated = scales[:, None] if layer.depthwise else np.tile(scales, rows.shape[1] // len(scales))
            layer.store(resources, rows * repeated, layer.biases(resources))
        found.append(Equalized(tuple(name for name in names if name in extents), float(1.0 / np.median(shares))))
    return found
