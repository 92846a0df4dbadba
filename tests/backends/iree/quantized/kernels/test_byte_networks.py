"""Which layers of whole quantized networks are left to linalg on processors with vectors: next to none."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import mnetdsl
from mnetdsl.backends.iree.emission import emit
from mnetdsl.backends.iree.kernels.machine import isa_of
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.backends.runners import make_runner
from mnetdsl.files import write_folder
from mnetdsl.importers.tflite import import_tflite
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from mnetdsl.passes.pipelines import optimize
from tests.backends.iree.quantized.kernels.test_simt_networks import RESOLUTION, quantized
from tests.real_data import tflite

IMPORTED = (
    "vww_96_int8",
    "mobilenet_v1_0.25_224_quant",
    "mobilenet_v2_1.0_224_quant",
    "tf2_mobilenet_v2_1.0_224_ptq",
    "mobilenet_v3_small_224_1.0_uint8",
    "mobilenet_v3_small_224_tf2_ptq_int8",
    "coco_ssd_mobilenet_v1_1.0_quant",
    "deeplabv3_mnv2_dm05_pascal_quant",
)
QUICK = (
    "vww_96_int8",
    "coco_ssd_mobilenet_v1_1.0_quant",
    "deeplabv3_mnv2_dm05_pascal_quant",
    "mobilenet_v3_small",
    "mobilenet_v4_conv_small",
)
REAL = {"matmul"}
"""Attention's products, of real numbers between stored ones."""


def left_to_linalg(module: Module) -> list[tuple[str, str, str]]:
    """Layer, opcode and reason."""
    roads = emit(module, isa=isa_of(TARGETS["iree-cpu:x86-64-v4"])).roads
    return [(road.location.name, road.opcode, road.reason) for road in roads if road.kernel is None]


def imported(name: str, folder: Path) -> Module:
    files = import_tflite(tflite(name)).files
    write_folder(folder, files)
    network = mnetdsl.load(next(folder / file for file in files if file.endswith(".mnet"))).with_weights()
    return optimize(network.module)


def heavy(names: Iterable[str]) -> list[object]:
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", heavy(IMPORTED))
def test_every_layer_of_networks_that_others_quantized_has_a_kernel(name: str, tmp_path: Path) -> None:
    assert left_to_linalg(imported(name, tmp_path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", IMPORTED)
def test_networks_that_others_quantized_have_the_interpreters_bits(name: str, tmp_path: Path) -> None:
    module = imported(name, tmp_path)
    (port,) = module.graph.inputs
    inputs = {port.name: np.random.default_rng(1).integers(0, 256, port.value.type.shape, np.uint8)}
    expected, results = run(module, inputs), make_runner("iree-cpu", module).run(inputs)
    assert {key: int((results[key] != array).sum()) for key, array in expected.items()} == dict.fromkeys(expected, 0)


@pytest.mark.parametrize("name", heavy(mnetdsl.zoo()))
def test_of_the_zoo_in_int8_only_products_of_real_numbers_are_left(name: str) -> None:
    module, _ = quantized(name, RESOLUTION, 1.0)
    assert {opcode for _, opcode, _ in left_to_linalg(module)} <= REAL
