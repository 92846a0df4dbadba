"""Own kernel or linalg: the road that each layer takes, decided and recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mnetdsl.backends.iree.kernels.ahead import find_asking
from mnetdsl.backends.iree.kernels.chains import find_joins
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.layers import OWN_LAYERS, Workshop, join_floats
from mnetdsl.backends.iree.kernels.simt.layers import SIMT_LAYERS
from mnetdsl.backends.iree.kernels.unfiltered import UNFILTERED_LAYERS
from mnetdsl.backends.iree.kernels.workshop import OwnLayer, Shop
from mnetdsl.backends.iree.quantized.kernels.joins import find_byte_chains, join_bytes
from mnetdsl.backends.iree.quantized.kernels.layers import byte_layers
from mnetdsl.backends.iree.quantized.kernels.simt_layers import SIMT_BYTE_LAYERS
from mnetdsl.ir.core import Graph, Op, Value
from mnetdsl.ir.location import Location
from mnetdsl.passes.context import Remark


@dataclass(frozen=True)
class Road:
    """How the layer at `location` runs: by the own kernel `kernel`, together with the layers `joined` where it is a
    chain's, or on linalg for `reason`."""

    location: Location
    opcode: str
    kernel: str | None
    reason: str = ""
    joined: tuple[str, ...] = ()

    def remark(self) -> Remark:
        """As `mnet compile --remarks` says it."""
        layer = self.location.name or self.opcode
        if self.kernel is None:
            what = f"{layer} runs on linalg, since {self.reason}"
        elif self.joined:
            what = f"{layer} runs in {self.kernel}, from {self.joined[0]} to {self.joined[-1]}"
        else:
            what = f"{layer} runs as {self.kernel}"
        return Remark("own-kernels", self.kernel is not None, what, self.location)


@dataclass(frozen=True)
class Joined:
    """Layers that run as one kernel, which `emit` emits and names."""

    layers: tuple[Op, ...]
    emit: Callable[[], str]


class Roads:
    """Emits the layers of a graph that have own kernels, and keeps how each layer went, in the graph's order."""

    def __init__(
        self,
        shop: Shop,
        layers: Mapping[str, OwnLayer],
        stored: Mapping[str, OwnLayer],
        joins: Sequence[Joined] = (),
    ) -> None:
        """`layers` have kernels of the kind of `shop`, by opcode, and `stored` those on stored integers."""
        self._shop = shop
        self._layers = layers
        self._stored = stored
        self._taken: dict[Op, Road | None] = {}
        self._joins = {op: join for join in joins for op in join.layers}

    @property
    def taken(self) -> list[Road]:
        return [road for road in self._taken.values() if road is not None]

    def take(self, op: Op) -> bool:
        """Emits `op` by an own kernel where it has one; else nothing is emitted, and the caller takes linalg."""
        join = self._joins.get(op)
        if join is not None:
            self._taken[op] = None  # its place among the others, which may stand between joined layers
            if op is join.layers[-1]:
                name = join.emit()
                names = tuple(each.name for each in join.layers) if len(join.layers) > 1 else ()
                self._taken |= {each: Road(each.location, each.opcode, name, joined=names) for each in join.layers}
            return True
        road = self._taken[op] = self._road(op)
        return road.kernel is not None

    def _road(self, op: Op) -> Road:
        quantized = any(value.type.quantization is not None for value in (op.result, *op.operands[:1]))
        own = (self._stored if quantized else self._layers).get(op.opcode)
        if own is None:
            return Road(op.location, op.opcode, None, f"`{op.opcode}` has no own kernel")
        if not any(quantized or value.type.element.is_float for value in (op.result, *op.operands[:1])):
            return Road(op.location, op.opcode, None, f"it computes {op.type.element.value}")
        taken = own(self._shop, op)
        if isinstance(taken, Unsuitable):
            return Road(op.location, op.opcode, None, taken.reason)
        return Road(op.location, op.opcode, taken)


def vector_roads(shop: Workshop, graph: Graph, results: Collection[Value]) -> Roads:
    """For processors with vectors. `results` are values that the function returns."""
    whole = shop.storage.bfloat is None
    floats = find_joins(graph, shop.scope.array, shop.isa, results, shop.chaining) if whole else []
    if whole and shop.chaining.alone:
        joined = {op for join in floats for op in join.layers}
        shop = replace(shop, asking=find_asking(graph, shop.scope.array, shop.isa, joined))
    joins = [
        *(Joined(join.layers, partial(join_floats, shop, join)) for join in floats),
        *(Joined(tuple(chain), partial(join_bytes, shop, chain)) for chain in find_byte_chains(shop, graph, results)),
    ]
    return Roads(shop, OWN_LAYERS | UNFILTERED_LAYERS, byte_layers(shop.isa), joins)


def simt_roads(shop: Shop) -> Roads:
    """For targets of scalar invocations."""
    return Roads(shop, SIMT_LAYERS, SIMT_BYTE_LAYERS)
