"""Whole networks of the zoo, through the float pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mnetdsl
from mnetdsl.validate import TOLERANCE, validate
from mnetdsl.validate.cases import make_cases
from tests.backends.iree.harness import require_target

SMALL: dict[str, Any] = {"alpha": 0.25, "resolution": 64, "classes": 10}


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_small_networks_agree_with_the_interpreter_on_the_cpu(name: str) -> None:
    report = validate(mnetdsl.load(name, **SMALL).with_weights("random:1").module, ["iree-cpu"])
    assert report.agrees, list(report.diagnostics())
    assert len(report.backends[1].layers) > 25


def difference_on_vulkan(network: mnetdsl.Network) -> float:
    """Of the logits, as a fraction of their largest magnitude."""
    inputs = make_cases(network.module.graph.inputs, seed=3).arrays
    expected = network.run(inputs)["logits"].astype(np.float32)
    result = network.run(inputs, on="iree-vulkan")["logits"].astype(np.float32)
    return float(np.abs(result - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", [pytest.param("mobilenet_v1", marks=pytest.mark.slow), "mobilenet_v2"])
def test_small_networks_agree_with_the_interpreter_on_vulkan(name: str) -> None:
    require_target("iree-vulkan")
    assert difference_on_vulkan(mnetdsl.load(name, **SMALL).with_weights("random:1")) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", mnetdsl.zoo())
def test_networks_of_the_zoo_agree_with_the_interpreter_on_vulkan(name: str) -> None:
    require_target("iree-vulkan")
    network = mnetdsl.load(name, resolution=96).with_weights("random:1")
    assert difference_on_vulkan(network) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_full_networks_agree_on_cpu_and_vulkan_layer_by_layer(name: str) -> None:
    require_target("iree-vulkan")
    report = validate(mnetdsl.load(name).with_weights("random:1").module, ["iree-cpu", "iree-vulkan"])
    assert report.agrees, list(report.diagnostics())
