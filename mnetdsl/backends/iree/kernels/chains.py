"""Which layers run as one kernel: of all ways to cut a run of layers, the one that costs least.

A chain makes bands of rows through all of its layers, and computes the rows again that two bands need. Slices make a
pointwise layer, the depthwise one behind it and a projection channel by channel, and compute nothing again. Both spare
what a map costs that goes from kernel to kernel. Costs count multiply-adds of one core.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mnetdsl.backends.iree.kernels.blocking import WORKGROUPS
from mnetdsl.backends.iree.kernels.cutting import cheapest_cut
from mnetdsl.backends.iree.kernels.filters import Constants, Filter, Unsuitable, describe
from mnetdsl.backends.iree.kernels.isa import Isa
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.pointwise import MANY_ROWS
from mnetdsl.ir.core import Graph, Op, Value

TRAVEL = 3.0
"""Of a byte of a map that leaves the core's own cache: between two threads half of each map does, else what is larger
than half of that cache. With 3 to 6 the networks take the same time, with 10 MobileNetV4 a fiftieth more."""
REREAD = 0.25
"""Of a byte of weights that a chain reads again for each row."""
DISPATCH = 300_000.0
"""Of a kernel on several threads: until all have ended, and all have begun the next one."""

SLICED = (("pointwise", "depthwise"), ("pointwise", "depthwise", "pointwise"))
"""Kinds of layers that can be made by slices."""


@dataclass(frozen=True)
class Chaining:
    """What a module is arranged for.

    threads: that will run it. bands: workgroups of a chain, each with a halo of its own. streamed: bytes of a layer's
    weights up to which it may be in a chain, which reads them again for each row. workgroups: of a layer, about;
    setting up tiles takes each of them a while. alone: whether it is known that one thread runs all of it, which finds
    in its core's cache what it has asked for.
    """

    threads: int = 1
    bands: int = 4
    streamed: int = 70 * 1024
    workgroups: int = WORKGROUPS
    alone: bool = False


def chaining_for(threads: int | None) -> Chaining:
    """For a module that `threads` threads will run, None where nobody knows."""
    if threads is None:
        return Chaining()
    if threads == 1:
        return Chaining(bands=1, workgroups=1, alone=True)
    return Chaining(threads, bands=threads, streamed=300 * 1024, workgroups=4 if threads == 2 else WORKGROUPS)


@dataclass(frozen=True)
class Join:
    """Layers that run as one kernel: as a chain, or `sliced`."""

    layers: tuple[Op, ...]
    sliced: bool = False


def find_joins(
    graph: Graph, constants: Constants, isa: Isa, results: Collection[Value], chaining: Chaining
) -> list[Join]:
    """The joins of two and more layers. `results` are values that must exist."""
    filters: dict[Op, Filter] = {}
    for op in graph.operations:
        if op.opcode in ("conv2d", "depthwise_conv2d") and op.type.element.is_float:
            described = describe(op, constants)
            if not isinstance(described, Unsuitable):
                filters[op] = described
    costs = _Costs(isa, chaining)
    joins: list[Join] = []
    begun: set[Op] = set()
    for op in filters:
        if op in begun:
            continue
        run = [op]
        while (reader := _reader(run[-1], filters, results)) is not None:
            run.append(reader)
        begun.update(run)
        joins += cheapest_cut([_Layer(each, filters[each], isa) for each in run], costs.ways)
    return [join for join in joins if len(join.layers) > 1]


def _reader(op: Op, filters: dict[Op, Filter], results: Collection[Value]) -> Op | None:
    """The layer that alone reads the map of `op`."""
    if op.result in results or len(op.result.users) != 1:
        return None
    (reader,) = op.result.users
    return reader if reader in filters and filters[reader].input is op.result else None


class _Layer:
    """What a layer costs."""

    def __init__(self, op: Op, filter: Filter, isa: Isa) -> None:
        self.op, self.filter, self.window = op, filter, filter.window
        rows, columns = filter.window.outputs
        self.channels = padded_size(filter.weights.shape[-1], isa.lanes)
        self.rows = rows
        self.work = columns * self.channels * filter.weights[..., 0].size
        """Of a row."""
        _, height, width, channels = filter.input.type.shape
        self.source = height * width * padded_size(channels, isa.lanes) * 4
        self.map = rows * columns * self.channels * 4

    @property
    def everywhere(self) -> bool:
        """Whether each workgroup reads the whole map: it makes some channels of all pixels."""
        rows, columns = self.window.outputs
        return self.filter.kind == "pointwise" and rows * columns < MANY_ROWS

    @property
    def streams(self) -> bool:
        """Whether each row of a chain's band needs few rows of the one before, as rings hold them."""
        top, kernel, stride = self.window.padding[0], self.window.kernel[0], self.window.strides[0]
        return top < kernel and stride <= kernel


@dataclass(frozen=True)
class _Costs:
    """Of layers of which each is the only reader of the one before."""

    isa: Isa
    chaining: Chaining

    def ways(self, layers: Sequence[_Layer]) -> list[tuple[Join, float]]:
        """How `layers` can be one kernel, and what that costs."""
        ops = tuple(layer.op for layer in layers)
        first = layers[0]
        share = self._travel(first.source) + (DISPATCH if self.chaining.threads > 1 else 0.0)
        map = share + (self._travel(first.source) if self.chaining.threads > 1 else 0.0)
        whole = sum(layer.rows * layer.work for layer in layers) / self.chaining.threads
        if len(layers) == 1:
            return [(Join(ops), whole + (map if first.everywhere else share))]
        if any(layer.filter.residual is not None for layer in layers[:-1]):
            return []
        ways = []
        if self._fits(layers):
            ways.append((Join(ops), share + self._chain(layers)))
        kinds = tuple(layer.filter.kind for layer in layers)
        if self.chaining.threads > 1 and kinds in SLICED:
            ways.append((Join(ops, sliced=True), map + whole + self._sums(layers[2:])))
        return ways

    def _sums(self, projection: Sequence[_Layer]) -> float:
        """What it takes that the threads' sums of a projection meet."""
        return sum(DISPATCH + TRAVEL * self.chaining.threads * layer.map for layer in projection)

    def _fits(self, layers: Sequence[_Layer]) -> bool:
        near = all(layer.filter.weights.nbytes <= self.chaining.streamed for layer in layers)
        return near and all(layer.streams for layer in layers[1:])

    def _travel(self, bytes: int) -> float:
        far = self.chaining.threads > 1 or bytes > self.isa.cache // 2
        return TRAVEL * bytes if far else 0.0

    def _chain(self, layers: Sequence[_Layer]) -> float:
        """The longer of the busiest band and a thread's share of all."""
        total = layers[-1].rows
        height = -(-total // self.chaining.bands)
        bands = [self._band(layers, top, min(top + height, total)) for top in range(0, total, height)]
        return max(max(bands), sum(bands) / self.chaining.threads)

    def _band(self, layers: Sequence[_Layer], low: int, high: int) -> float:
        """Rows from `low` to `high` of the last layer, and those of the layers before that they need."""
        cost = 0.0
        for layer in reversed(layers):
            cost += (high - low) * (layer.work + REREAD * layer.filter.weights.nbytes)
            window = layer.window
            low = max(low * window.strides[0] - window.padding[0], 0)
            high = min((high - 1) * window.strides[0] - window.padding[0] + window.kernel[0], window.size[0])
        return cost
