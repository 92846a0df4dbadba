"""Whole quantized networks on kernels of scalar invocations, and on linalg's loops beside them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import mnetdsl
from mnetdsl.backends.iree.package import IreePackage, generate
from mnetdsl.backends.iree.runner import PackageRunner
from mnetdsl.files import write_folder
from mnetdsl.importers.tflite import import_tflite
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.types import ElementType
from mnetdsl.passes.pipelines import optimize
from mnetdsl.quantize.quantizer import Settings
from mnetdsl.quantize.tuning import Techniques
from mnetdsl.validate import validate
from tests.backends.iree.harness import inputs_of, require_target
from tests.backends.iree.quantized.cases import I8, QuantizedMaker, storage
from tests.backends.iree.quantized.kernels.simt_harness import TARGET, built
from tests.real_data import tflite

PLAIN = Settings(
    "min-max", equalize=False, techniques=Techniques(mse_scales=False, learned_rounding=False, bias_correction=False)
)
RESOLUTION = 96


@cache
def quantized(name: str, resolution: int, alpha: float) -> tuple[Module, np.ndarray]:
    """A network of the zoo with made-up weights, and two images of noise that it was quantized by."""
    network = mnetdsl.load(name, resolution=resolution, alpha=alpha).with_weights("random:3")
    pictures = np.random.default_rng(4).integers(0, 256, (2, resolution, resolution, 3), np.uint8)
    return optimize(network.quantize([pictures], settings=PLAIN).module), pictures


def differing(module: Module, pictures: np.ndarray, package: IreePackage) -> int:
    """How many logits differ from the interpreter's."""
    require_target("iree-vulkan")
    inputs = {module.graph.inputs[0].name: pictures[:1]}
    results, expected = PackageRunner(package).run(inputs), run(module, inputs)
    assert all(len(np.unique(array)) > 5 for array in expected.values())
    return sum(int((results[name] != array).sum()) for name, array in expected.items())


@pytest.mark.parametrize("name", [pytest.param("mobilenet_v2", marks=pytest.mark.slow), "mobilenet_v3_small"])
def test_small_networks_have_the_interpreters_bits(name: str) -> None:
    """Of odd sizes: a channel count of three, maps of no whole words, gates; all layers run by kernels of our own."""
    module, pictures = quantized(name, 47, 0.35)
    package = generate(module, "net", "iree-vulkan")
    assert differing(module, pictures, package) == 0
    assert [road.location.name for road in package.roads if road.kernel is None] == []
    assert package.manifest.capabilities == ()


@pytest.mark.parametrize("target", [TARGET, "iree-vulkan:linalg"])
def test_attention_between_stored_numbers_is_a_step_off_at_most(target: str) -> None:
    """Its products are of real numbers, whose sums may end on the other side of a half."""
    require_target("iree-vulkan")

    def build(m: QuantizedMaker) -> list[Value]:
        query, key, values = m.fresh(I8, 144, 64), m.fresh(I8, 9, 64), m.fresh(I8, 9, 64)
        real = [m.op("dequantize", {"input": each}) for each in (query, key, values)]
        products = m.op("matmul", {"left": real[0], "right": real[1]}, transpose="right", scale=0.125)
        stored = m.op("quantize", {"input": products}, storage(ElementType.I8, 0.4, 2))
        shares = m.op("softmax", {"input": stored}, storage(ElementType.I8, 1 / 256, -128))
        result = m.op("matmul", {"left": m.op("dequantize", {"input": shares}), "right": real[2]})
        return [m.op("quantize", {"input": result}, I8)]

    module = built(build)
    inputs = inputs_of(module, 2)
    (found,), (expected,) = (
        each.values() for each in (PackageRunner(generate(module, "net", target)).run(inputs), run(module, inputs))
    )
    steps = np.abs(found.astype(int) - expected.astype(int))
    assert expected.std() > 5
    assert steps.max() <= 1
    assert steps.mean() < 0.001


@pytest.mark.slow
def test_layers_that_are_observed_have_the_interpreters_bits() -> None:
    require_target("iree-vulkan")
    network = mnetdsl.load("mobilenet_v1", alpha=0.25, resolution=32, classes=10).with_weights("random:3")
    pictures = np.random.default_rng(4).integers(0, 256, (2, 32, 32, 3), np.uint8)
    report = validate(network.quantize([pictures], settings=PLAIN).module, [TARGET])
    assert report.agrees, list(report.diagnostics())
    assert all(layer.absolute == 0.0 for layer in report.backends[1].layers)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["tf2_mobilenet_v2_1.0_224_ptq", "mobilenet_v1_0.25_224_quant", "mobilenet_v3_small_224_1.0_uint8"]
)
def test_networks_that_others_quantized_have_the_interpreters_bits_in_every_layer(name: str, tmp_path: Path) -> None:
    """Signed numbers with a scale a channel, unsigned ones with weights of nine bits, and with gates."""
    require_target("iree-vulkan")
    files = import_tflite(tflite(name)).files
    write_folder(tmp_path, files)
    module = mnetdsl.load(next(tmp_path / file for file in files if file.endswith(".mnet"))).with_weights().module
    report = validate(module, [TARGET])
    assert report.agrees, list(report.diagnostics())
    assert all(layer.absolute == 0.0 for layer in report.backends[1].layers)


@pytest.mark.slow
@pytest.mark.parametrize("name", mnetdsl.zoo())
def test_networks_of_the_zoo_have_the_interpreters_bits(name: str) -> None:
    """Only attention's products, of real numbers, are left to linalg; nothing needs 8-bit storage."""
    module, pictures = quantized(name, RESOLUTION, 1.0)
    package = generate(module, "net", TARGET)
    assert differing(module, pictures, package) == 0
    assert {road.opcode for road in package.roads if road.kernel is None} <= {"matmul"}
    assert package.manifest.capabilities == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", mnetdsl.zoo())
def test_networks_of_the_zoo_have_the_interpreters_bits_on_linalg(name: str) -> None:
    module, pictures = quantized(name, RESOLUTION, 1.0)
    assert differing(module, pictures, generate(module, "net", "iree-vulkan:linalg")) == 0
