"""Own float kernels of scalar invocations on Vulkan compute what the interpreter computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mnetdsl
from mnetdsl.backends.iree import emission
from mnetdsl.backends.iree.package import generate
from mnetdsl.backends.iree.runner import PackageRunner
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from tests.backends.iree.cases.maker import CaseMaker
from tests.backends.iree.harness import inputs_of, require_target
from tests.backends.iree.kernels.test_layers import elementwise_layers, random_layers

TARGET = "iree-vulkan:simt"
TOLERANCE = 1e-5
"""Of a layer's largest magnitude, as for the kernels of CPUs."""


def wrong_outputs(module: Module) -> tuple[dict[str, float], dict[str, str | None]]:
    """Outputs that differ from the interpreter's, with the difference, and each layer's kernel."""
    require_target("iree-vulkan")
    inputs = inputs_of(module, 1)
    package = generate(module, "net", TARGET)
    results = PackageRunner(package).run(inputs)
    wrong = {}
    for name, expected in run(module, inputs).items():
        error = float(np.abs(results[name] - expected).max() / max(float(np.abs(expected).max()), 1e-30))
        if not error <= TOLERANCE:
            wrong[name] = error
    return wrong, {road.location.name: road.kernel for road in package.roads}


def test_filters_agree_with_the_interpreter() -> None:
    maker = CaseMaker("filters")
    image = maker.fresh(9, 11, 21)
    bottom = (0, 1, 2, 0)
    x = maker.op("conv2d", {"input": image, "filter": maker.weights(1, 1, 21, 40), "bias": maker.weights(40)})
    maker.output(x, "pointwise")
    y = maker.op(
        "depthwise_conv2d",
        {"input": x, "filter": maker.weights(3, 3, 40, 1), "bias": maker.weights(40)},
        strides=(1, 2),
        padding=(1, 1, 1, 1),
        activation="relu6",
    )
    maker.output(y, "depthwise")
    stem = {"input": image, "filter": maker.weights(3, 3, 21, 7)}
    maker.output(maker.op("conv2d", stem, strides=(2, 2), padding=bottom, activation="hard_swish"), "window")
    residual = {"input": x, "filter": maker.weights(1, 1, 40, 21), "residual": image}
    maker.output(maker.op("conv2d", residual, activation="silu"), "residual")
    dense = {"input": maker.fresh(50), "filter": maker.weights(50, 10), "bias": maker.weights(10)}
    maker.output(maker.op("dense", dense), "dense")
    wrong, kernels = wrong_outputs(maker.module)
    assert wrong == {}
    assert all(kernel is not None and kernel.startswith("simt_") for kernel in kernels.values())


def test_elementwise_layers_pools_and_reshapes_agree() -> None:
    wrong, kernels = wrong_outputs(elementwise_layers())
    assert wrong == {}
    assert sum(kernel is None for kernel in kernels.values()) == 1, "the hyperbolic tangent is left to linalg"


def test_tiles_pass_through_memory_of_the_workgroup() -> None:
    module = mnetdsl.load("mobilenet_v1", alpha=0.25, resolution=32).with_weights("random:1").optimized()
    text = emission.emit(module, simt=True, simt_kernels=True).text
    assert "#gpu.address_space<workgroup>" in text
    assert "gpu.barrier" in text
    assert "simt" not in emission.emit(module, simt=True).text
    assert "storage = b32|b16|b8, subgroup = none" in str(TARGETS[TARGET].device), "nothing but baseline Vulkan is used"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [40, 41])
def test_random_filters_agree_with_the_interpreter(seed: int) -> None:
    wrong, _ = wrong_outputs(random_layers(seed, count=16))
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.parametrize("network", mnetdsl.zoo())
def test_every_network_of_the_zoo_agrees(network: str) -> None:
    parameters: dict[str, Any] = {"resolution": 64} if "hybrid" not in network else {}
    module = mnetdsl.load(network, **parameters).with_weights("random:1").optimized()
    wrong, _ = wrong_outputs(module)
    assert max(wrong.values(), default=0.0) < 1e-4
