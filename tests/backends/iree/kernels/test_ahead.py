"""On one thread, pointwise layers ask for the weights behind their own: what lies there, and who does not."""

from __future__ import annotations

import numpy as np

from mnetdsl.backends.iree import emission
from mnetdsl.backends.iree.compiler import compile_mlir
from mnetdsl.backends.iree.kernels.ahead import Asking, find_asking
from mnetdsl.backends.iree.kernels.isa import ISAS
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant
from tests.backends.iree.cases.maker import CaseMaker
from tests.backends.iree.harness import Array
from tests.backends.iree.kernels.test_layers import wrong_outputs

ISA = ISAS[0]


def network(size: int, channels: int) -> tuple[Module, list[Op]]:
    """A block of three layers and a dense one, and the layers."""
    maker = CaseMaker("ahead")
    x = maker.fresh(size, size, 96)
    x = maker.op("conv2d", {"input": x, "filter": maker.weights(1, 1, 96, channels), "bias": maker.weights(channels)})
    x = maker.op("depthwise_conv2d", {"input": x, "filter": maker.weights(3, 3, channels, 1)}, padding=(1, 1, 1, 1))
    x = maker.op("conv2d", {"input": x, "filter": maker.weights(1, 1, channels, 64), "bias": maker.weights(64)})
    x = maker.op("global_avg_pool", {"input": x})
    maker.output(maker.op("dense", {"input": x, "filter": maker.weights(64, 48), "bias": maker.weights(48)}), "y")
    layers = [op for op in maker.module.graph.operations if op.opcode not in ("constant", "global_avg_pool")]
    return maker.module, layers


def array_of(module: Module, value: Value | None) -> Array | None:
    producer = None if value is None else value.producer
    return np.asarray(module.resources[producer.resource]) if isinstance(producer, Constant) else None


def asking(module: Module, joined: frozenset[Op] = frozenset()) -> dict[Op, Asking]:
    def constants(value: Value | None) -> Array | None:
        return array_of(module, value)

    return dict(find_asking(module.graph, constants, ISA, joined))


def test_constants_lie_in_a_module_where_layers_ask_for_them() -> None:
    module, layers = network(14, 192)
    text = emission.emit(module, isa=ISA, threads=1).text
    vmfb = compile_mlir(text, module.name, TARGETS["iree-cpu"])
    places = []
    for op in layers:
        weights = array_of(module, op.operands[1])
        assert weights is not None
        row = weights.reshape(-1, weights.shape[-1])[0] if op.opcode != "depthwise_conv2d" else weights[0, 0, :, 0]
        places.append(vmfb.index(row[:16].astype(np.float32).tobytes()))
    first, depthwise, second, dense = places
    asked = asking(module)
    upcoming = asked[layers[0]].upcoming
    assert upcoming is not None
    assert depthwise - first == 4 * upcoming.distance
    assert first + 4 * (upcoming.distance + upcoming.size) > second
    upcoming = asked[layers[2]].upcoming
    assert upcoming is not None
    assert dense - second == 4 * upcoming.distance
    assert upcoming.size == 64 * 48 + 48


def test_layers_that_ask_agree_with_the_interpreter() -> None:
    wrong, _ = wrong_outputs(network(14, 192)[0], ISA, threads=1)
    assert wrong == {}


def test_a_layer_that_was_asked_for_does_not_ask_for_its_own_weights() -> None:
    module, (first, _, second, _) = network(14, 192)
    asked = asking(module)
    assert not asked[first].near
    assert asked[second].near


def test_layers_with_many_rows_and_joined_ones_do_not_ask() -> None:
    module, layers = network(28, 192)
    assert all(each.upcoming is None for each in asking(module).values())
    module, layers = network(14, 192)
    asked = asking(module, frozenset(layers[:2]))
    assert layers[0] not in asked
    assert not asked[layers[2]].near


def test_nothing_is_asked_for_that_has_no_room_in_the_cache() -> None:
    module, layers = network(14, 1900)
    assert asking(module)[layers[0]].upcoming is None


def test_only_modules_for_one_thread_ask() -> None:
    module, _ = network(14, 192)
    counts = [emission.emit(module, isa=ISA, threads=threads).text.count("memref.prefetch") for threads in (1, None)]
    assert counts[0] > counts[1]
