"""Which layers are left to linalg: none of a network of the zoo in float32."""

from __future__ import annotations

import pytest

import mnetdsl
from mnetdsl.backends.iree import emission
from mnetdsl.backends.iree.kernels.isa import ISAS
from tests.backends.iree.harness import all_operations
from tests.backends.iree.kernels.test_layers import wrong_outputs

WITHOUT_KERNEL = {
    "its window is dilated",
    "each of its channels has 2 kernels",
    "each of its channels has 3 kernels",
}


@pytest.mark.parametrize("network", mnetdsl.zoo())
def test_no_float_layer_of_the_zoo_takes_linalg(network: str) -> None:
    module = mnetdsl.load(network).with_weights("random:1").optimized()
    roads = emission.emit(module, isa=ISAS[0]).roads
    assert [road.remark() for road in roads if road.kernel is None] == []


def test_of_all_operations_few_take_linalg() -> None:
    roads = emission.emit(all_operations(), isa=ISAS[0]).roads
    assert {road.reason for road in roads if road.kernel is None} <= WITHOUT_KERNEL


@pytest.mark.slow
def test_a_network_with_attention_agrees_with_the_interpreter() -> None:
    module = mnetdsl.load("mobilenet_v4_hybrid_medium").with_weights("random:1").optimized()
    wrong, _ = wrong_outputs(module, ISAS[0])
    assert max(wrong.values(), default=0.0) < 1e-4
