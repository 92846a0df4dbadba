"""`random:SEED`: sensible, reproducible, and independent of the rest of the network."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import mnetdsl
from mnetdsl.diagnostics import MnetError
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Op
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from mnetdsl.weights import load_weights
from tests.weights.conftest import NETWORK, Arrays


def test_every_constant_gets_its_shape_and_type(module: Module, weights: Arrays) -> None:
    for constant in module.graph.constants():
        array = weights[str(constant.attributes["resource"])]
        assert array.shape == constant.type.shape
        assert array.dtype == np.float32


def test_the_bits_are_the_same_on_every_machine(weights: Arrays) -> None:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].tobytes())
    assert digest.hexdigest() == "7deb69084f646b21bada44a95d0d6af3294469694d53103caf5d4cda97e06800"


def test_seeds_differ(module: Module, weights: Arrays) -> None:
    other = load_weights(module, "random:2")
    assert all(not np.array_equal(other[name], weights[name]) for name in weights)


def test_a_layer_added_elsewhere_changes_no_other(weights: Arrays) -> None:
    longer = NETWORK.replace("  output", "  x = separable(x, 12) as extra\n  x = separable(x, 12) as more\n  output")
    found = load_weights(build(SourceFile("net.mnet", longer)).module, "random:1")
    assert len(found) > len(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_variances_are_positive_and_nothing_is_left_at_a_neutral_value(module: Module, weights: Arrays) -> None:
    for name, array in weights.items():
        if name.endswith("running_var"):
            assert array.min() > 0.5
        assert np.unique(array).size > array.size // 2, f"{name} is not random"


@pytest.mark.parametrize(("network", "resolution"), [("mobilenet_v1", 96), ("mobilenet_v2", 96)])
def test_activations_keep_their_size_through_the_whole_network(network: str, resolution: int) -> None:
    module = mnetdsl.load(network, resolution=resolution).with_weights("random:3").module
    image = np.random.default_rng(0).integers(0, 256, (1, resolution, resolution, 3), dtype=np.uint8)
    sizes: dict[str, float] = {}

    def observe(op: Op, value: np.ndarray) -> None:
        if op.opcode == "batch_norm":
            sizes[op.name] = float(np.sqrt(np.mean(np.square(value, dtype=np.float64))))

    run(module, {"image": image}, observe)
    assert len(sizes) > 20
    assert min(sizes.values()) > 0.2
    assert max(sizes.values()) < 5.0


@pytest.mark.parametrize("spec", ["random", "random:", "random:x", "random:-1", "random:1.5", "random:" + "9" * 40])
def test_a_malformed_seed_is_explained(module: Module, spec: str) -> None:
    with pytest.raises(MnetError) as failure:
        load_weights(module, spec)
    assert failure.value.diagnostics[0].code == "MN0711"
    assert "random:1" in failure.value.diagnostics[0].help[0]
