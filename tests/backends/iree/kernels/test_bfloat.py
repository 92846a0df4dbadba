"""bfloat16: rounding, arrangement, and kernels that are exact on what has been rounded before."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.backends.iree import emission, why_no_bfloat
from mnetdsl.backends.iree.accuracy import measure
from mnetdsl.backends.iree.compiler import compile_mlir
from mnetdsl.backends.iree.kernels.amx import tiles
from mnetdsl.backends.iree.kernels.bfloat import bits_of
from mnetdsl.backends.iree.kernels.isa import BFLOATS, Bfloat, choose_bfloat
from mnetdsl.backends.iree.kernels.machine import bfloat_of, features_of, isa_of
from mnetdsl.backends.iree.kernels.pairs import paired
from mnetdsl.backends.iree.package import generate
from mnetdsl.backends.iree.session import Session
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.backends.targets import ACCURACY, check_float_layers, check_precision
from mnetdsl.diagnostics import ExitCode, MnetError
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from mnetdsl.passes.context import Remark
from tests.backends.iree.cases.maker import CaseMaker
from tests.backends.iree.harness import Array, inputs_of, small_module
from tests.backends.iree.kernels.test_layers import elementwise_layers, random_layers
from tests.backends.iree.quantized.test_operations import module_of

TARGET = TARGETS["iree-cpu"]
TOLERANCE = 1e-5
"""Of a layer's largest magnitude, where all that is stored was rounded before."""
ROWS = pytest.mark.parametrize("bfloat", BFLOATS, ids=[bfloat.name for bfloat in BFLOATS])


def require_bfloat(bfloat: Bfloat = BFLOATS[-1]) -> None:
    """Processors differ, and no package brings an instruction: skipped under CI as well."""
    missing = bfloat.requires - features_of(TARGET.flags)
    if missing:
        pytest.skip(f"this processor lacks {', '.join(sorted(missing))}")


def values_of(bits: NDArray[np.int16]) -> NDArray[np.float32]:
    return (bits.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


def rounded(array: Array) -> Array:
    return values_of(bits_of(array)) if array.dtype == np.float32 else array


def results_of(module: Module, bfloat: Bfloat, inputs: dict[str, Array]) -> dict[str, Array]:
    text = emission.emit(module, isa=isa_of(TARGET), bfloat=bfloat).text
    session = Session(compile_mlir(text, module.name, TARGET), emission.FUNCTION, TARGET.driver)
    ports = module.graph.outputs
    wanted = [(port.value.type.shape, port.value.type.element.dtype) for port in ports]
    arrays = session.call([inputs[port.name] for port in module.graph.inputs], wanted)
    return dict(zip((port.name for port in ports), arrays, strict=True))


def differences(module: Module, bfloat: Bfloat) -> dict[str, float]:
    """Of each output, as a fraction of its largest magnitude; inputs and weights are bfloat16 from the beginning."""
    for name, array in module.resources.items():
        module.resources[name] = rounded(array)
    inputs = {name: rounded(array) for name, array in inputs_of(module, 1).items()}
    got = results_of(module, bfloat, inputs)
    return {
        name: float(np.abs(got[name] - expected).max() / max(float(np.abs(expected).max()), 1e-30))
        for name, expected in run(module, inputs).items()
    }


def test_rounding_goes_to_the_nearest_and_ties_to_even() -> None:
    numbers = np.array([1.0, -2.5, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, 0.0, -0.0, 3.4e38], np.float32)
    expected = np.array([1.0, -2.5, 1.0, 1 + 2**-6, 1 + 2**-7, 0.0, -0.0, np.inf], np.float32)
    np.testing.assert_array_equal(values_of(bits_of(numbers)), expected)
    random = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    assert np.abs(values_of(bits_of(random)) / random - 1).max() <= 2**-8


def test_tiles_and_panels_hold_pairs_of_depths_beside_each_other() -> None:
    depth, channels = 64, 96
    matrix = np.arange(depth * channels, dtype=np.int16).reshape(depth, channels)
    tiled = tiles(matrix)
    panels = paired(matrix, 64)
    for k in range(depth):
        for n in range(channels):
            at = n // 16 * 16 * depth + k // 32 * 512 + k % 32 // 2 * 32 + n % 16 * 2 + k % 2
            assert tiled[at] == matrix[k, n]
            panel, width = (0, 64) if n < 64 else (64, 32)
            assert panels[panel * depth + k // 2 * 2 * width + (n - panel) * 2 + k % 2] == matrix[k, n]


@ROWS
@pytest.mark.parametrize("seed", [5, 6])
def test_random_filters_are_exact_on_rounded_numbers(bfloat: Bfloat, seed: int) -> None:
    require_bfloat(bfloat)
    found = differences(random_layers(seed, count=24), bfloat)
    assert {name: value for name, value in found.items() if value > TOLERANCE} == {}


@ROWS
def test_elementwise_layers_and_pools_round_what_they_hand_on(bfloat: Bfloat) -> None:
    require_bfloat(bfloat)
    assert max(differences(elementwise_layers(), bfloat).values()) < 2**-6


@ROWS
def test_layers_without_a_filter_read_and_hand_on_rounded_maps(bfloat: Bfloat) -> None:
    require_bfloat(bfloat)
    maker = CaseMaker("unfiltered")
    image = maker.fresh(6, 6, 21)
    x = maker.op("conv2d", {"input": image, "filter": maker.weights(1, 1, 21, 40)}, activation="relu6")
    small = maker.op("max_pool", {"input": x}, kernel=(2, 2), strides=(2, 2))
    large = maker.op("resize", {"input": small}, size=(6, 6))
    joined = maker.op("concat", {"inputs": [x, large, image]}, axis=3)
    y = maker.op("conv2d", {"input": joined, "filter": maker.weights(1, 1, 101, 19)})
    keys = maker.op("reshape", {"input": y}, shape=(36, 19))
    scores = maker.op("matmul", {"left": keys, "right": keys}, transpose="right", scale=0.05)
    values = maker.op("matmul", {"left": maker.op("softmax", {"input": scores}), "right": keys})
    tokens = maker.op("reshape", {"input": values}, shape=(6, 6, 19))
    maker.output(maker.op("conv2d", {"input": tokens, "filter": maker.weights(1, 1, 19, 8)}), "result")
    maker.output(joined, "joined")
    assert max(differences(maker.module, bfloat).values()) < 2**-4


@ROWS
def test_networks_differ_by_what_bfloat16_explains(bfloat: Bfloat) -> None:
    require_bfloat(bfloat)
    module = mnetdsl.load("mobilenet_v3_small", resolution=96).with_weights("random:1").optimized()
    inputs = inputs_of(module, 1)
    (expected,), (got,) = run(module, inputs).values(), results_of(module, bfloat, inputs).values()
    difference = float(np.abs(got - expected).max() / np.abs(expected).max())
    assert 1e-4 < difference < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("network", ["mobilenet_v1", "mobilenet_v4_conv_small", "mobilenet_v4_hybrid_medium"])
def test_more_networks(network: str) -> None:
    require_bfloat()
    module = mnetdsl.load(network).with_weights("random:1").optimized()
    accuracy = measure(module, generate(module, "net", "iree-cpu", precision="bf16"), images=3)
    assert 1e-4 < accuracy.difference < 0.05
    assert accuracy.same_class == 3


def test_the_manifest_says_so_and_the_summary_what_it_costs() -> None:
    require_bfloat()
    said: list[Remark] = []
    network = mnetdsl.load("mobilenet_v2", alpha=0.35, resolution=64).with_weights("random:1")
    files = network.compile("iree-cpu", remark=said.append, precision="bf16")
    assert json.loads(files["mobilenet_v2.json"])["precision"] == "bf16"
    (cost,) = [remark.message for remark in said if remark.pass_name == ACCURACY]
    assert cost.startswith("bfloat16: outputs differ from float32 by up to ")
    plain = network.compile("iree-cpu", remark=said.append)
    assert json.loads(plain["mobilenet_v2.json"])["precision"] == "f32"
    assert len(files["mobilenet_v2.vmfb"]) < 0.75 * len(plain["mobilenet_v2.vmfb"])
    assert [remark.pass_name for remark in said].count(ACCURACY) == 1


@pytest.mark.parametrize("target", ["host-c", "cortex-m4", "iree-vulkan", "iree-cpu:aarch64", "iree-cpu:x86-64-v3"])
def test_a_target_without_bfloat16_is_refused(target: str) -> None:
    with pytest.raises(MnetError) as refused:
        check_precision(target, "bf16")
    assert refused.value.diagnostics[0].code == "MN1107"
    assert refused.value.exit_code is ExitCode.USAGE
    check_precision(target, "f32")


def test_reasons_fit_what_a_target_is() -> None:
    for target in ("iree-vulkan", "iree-vulkan:simt", "iree-vulkan:linalg"):
        assert "on Vulkan layers compute in float32" in str(why_no_bfloat(target))
    assert "neither AMX-BF16 nor AVX512-BF16" in str(why_no_bfloat("iree-cpu:x86-64-v3"))


def test_a_network_that_stores_integers_is_refused() -> None:
    """It would run as ever, and the summary say that bfloat16 costs nothing."""
    integers = module_of(["i8: pointwise", "i8: dense per channel"])
    with pytest.raises(MnetError) as refused:
        check_float_layers(integers, "bf16")
    (message,) = refused.value.diagnostics
    assert message.code == "MN1107"
    assert "its layers store integers" in message.message
    assert refused.value.exit_code is ExitCode.USAGE
    check_float_layers(integers, "f32")
    check_float_layers(small_module(), "bf16")


def test_the_best_that_a_processor_has_is_chosen() -> None:
    amx = features_of(TARGET.flags) | BFLOATS[0].requires
    assert choose_bfloat(amx) == BFLOATS[0]
    assert choose_bfloat(amx - {"amx-tile"}) == BFLOATS[1]
    assert choose_bfloat(amx - {"avx512bf16"}) is None
    assert bfloat_of(replace(TARGET, own_kernels=False)) is None
