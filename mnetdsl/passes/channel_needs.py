"""Which channels of each tensor somebody reads: from the outputs back to the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.ops.pool import GlobalAvgPool, Pool
from mnetdsl.ir.ops.quantize import Requantize
from mnetdsl.ir.ops.shape import Pad, Reshape
from mnetdsl.ir.ops.unary import UnaryOp
from mnetdsl.numerics.intervals import Interval
from mnetdsl.passes.channel_intervals import filter_numbers
from mnetdsl.passes.derive import constant_of
from mnetdsl.passes.layers import Layer, residual_of, window_padding

Array = NDArray[Any]
Channels = NDArray[np.bool_]
_PLAIN = (UnaryOp, Requantize, Pool, GlobalAvgPool, Pad)


class Needs:
    """`kept[v]` [C] of each value: what has to be computed of it. Values that must have the same channels share one.

    The least fixed point: a channel is kept where a reader needs it, a reader needs it where a kept channel of its own
    depends on it, and outputs of the network are kept whole.
    """

    def __init__(self, module: Module, found: Mapping[Value, Interval], multiple: int = 1) -> None:
        """multiple: of how many channels the numbers of those that are kept are multiples, where there are so many."""
        self._found = found
        self._filters: dict[Op, Array] = {}
        self._classes: dict[Value, Value] = {}
        self._kept: dict[Value, Channels] = {}
        operations = [op for op in module.graph.operations if op.opcode != "constant"]
        for op in operations:
            if isinstance(op, Layer) and foldable_layer(op, found):
                self._filters[op] = filter_numbers(op, module.resources)
            for value in same_channels(op, found):
                self._classes[self._root(value)] = self._root(op.result)
        self._start(module, operations)
        for kept in self._kept.values():
            self._settle(operations)
            kept[0] |= not kept.any()  # a tensor has one channel at least, computed from all that it reads
        self._settle(operations)
        while any(_fill(kept, multiple) for kept in self._kept.values()):
            self._settle(operations)

    def _settle(self, operations: list[Op]) -> None:
        while sum(self._spread(op) for op in reversed(operations)):
            continue

    def kept(self, value: Value) -> Channels:
        return self._kept.get(self._root(value), np.ones(value.type.shape[-1], np.bool_))

    def _start(self, module: Module, operations: list[Op]) -> None:
        values = [op.result for op in operations]
        whole = [port.value for port in (*module.graph.inputs, *module.graph.outputs)]
        whole += [op.result for op in operations if op not in self._filters and not same_channels(op, self._found)]
        for op in operations:
            shared = same_channels(op, self._found)
            whole += [value for value in op.operands if op not in self._filters and value not in shared]
        for value in (*values, *whole):
            if constant_of(value) is None:
                self._kept.setdefault(self._root(value), np.zeros(value.type.shape[-1], np.bool_))
        for value in whole:
            if constant_of(value) is None:
                self._kept[self._root(value)][:] = True

    def _spread(self, op: Op) -> bool:
        """Whether the layer `op` needs more of its input than was known."""
        if op not in self._filters or isinstance(op, DepthwiseConv2d):
            return False
        assert isinstance(op, Conv2d | Dense)
        kept, outputs = self._kept[self._root(op.input)], self.kept(op.result)
        used = self._filters[op][..., outputs].any(axis=(0, 1, 3))
        wanted = used & ~foldable_channels(op, self._found[op.input]) & ~kept
        kept |= wanted
        return bool(wanted.any())

    def _root(self, value: Value) -> Value:
        while value in self._classes and self._classes[value] is not value:
            value = self._classes[value]
        return value


def _fill(kept: Channels, multiple: int) -> bool:
    """Keeps the first channels beside those that are kept, up to a multiple; whether there was any to keep."""
    wanted = min(-int(kept.sum()) % multiple, int((~kept).sum()))
    kept[np.flatnonzero(~kept)[:wanted]] = True
    return wanted > 0


def foldable_layer(op: Op, found: Mapping[Value, Interval]) -> bool:
    """Whether channels of `op` can go: its weights are known, and its input is of 8 bits."""
    if not isinstance(op, Layer) or op.input not in found or op.result not in found or residual_of(op) is not None:
        return False
    if isinstance(op, DepthwiseConv2d) and op.filter.type.shape[3] != 1:
        return False
    parts = (op.filter, op.bias, op.filter_scale, op.filter_zero_point)
    return op.filter_scale is not None and all(value is None or constant_of(value) is not None for value in parts)


def foldable_channels(op: Conv2d | Dense, source: Interval) -> Channels:
    """[I]: channels of one value, which the bias can hold; beside padding only the zero point, which adds nothing."""
    assert op.input.type.quantization is not None
    everywhere = source.low == op.input.type.quantization.zero_point[0] if any(window_padding(op)) else True
    result: Channels = source.constant & everywhere
    return result


def same_channels(op: Op, found: Mapping[Value, Interval]) -> tuple[Value, ...]:
    """Operands that lose the channels that the result loses; none where the operation mixes or reorders them."""
    if isinstance(op, DepthwiseConv2d):
        return (op.input,) if foldable_layer(op, found) else ()
    if op.result not in found or any(constant_of(value) is not None for value in _maps(op)):
        return ()
    if isinstance(op, Elementwise):
        alike = op.left.type.shape[-1] == op.right.type.shape[-1]
        return tuple(dict.fromkeys((op.left, op.right))) if alike else ()
    if isinstance(op, Lookup):
        return (op.input,) if op.table.type.rank == 1 else ()
    if isinstance(op, Reshape):
        return (op.input,) if op.type.shape[-1] == op.input.type.shape[-1] else ()
    return tuple(op.operands) if isinstance(op, _PLAIN) else ()


def _maps(op: Op) -> tuple[Value, ...]:
    return (op.input,) if isinstance(op, Lookup) else op.operands
