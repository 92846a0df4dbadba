"""Quantized networks beside other engines, on the numbers that each of them takes."""

from __future__ import annotations

import numpy as np
import pytest

import mnetdsl
from mnetdsl.backends.iree.kernels.machine import isa_of
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.bench import Request, measure
from mnetdsl.bench.int8_module import inputs_elsewhere, random_inputs
from mnetdsl.ir.core import Module
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.passes.pipelines import optimize
from mnetdsl.quantize.apply import apply_quantization, quantizable, tensor_names
from mnetdsl.sema.quantization import QuantizedTensor
from mnetdsl.weights.random import random_weights

PIXELS = Storage(ElementType.I8, Quantization.per_tensor(1 / 128, 0))
LAYERS = Storage(ElementType.I8, Quantization.per_tensor(0.05, -128))


NETWORK = """mnet 1

model net() {
  input image: u8[24, 24, 3] { mean = 128, std = 128 }
  x = relu(conv2d(image, 16, kernel = 3, stride = 2)) as stem
  x = relu(depthwise_conv2d(x, kernel = 3)) as depthwise
  output logits = dense(global_avg_pool(x), 10) as classifier
}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Module:
    path = tmp_path_factory.mktemp("bench") / "net.mnet"
    path.write_text(NETWORK)
    module = mnetdsl.load(path).module
    rows = [
        QuantizedTensor(name, PIXELS if name == "image" else LAYERS, None, False, False)
        for name in tensor_names(quantizable(module))
    ]
    found = apply_quantization(module, rows)
    found.resources.update(random_weights(found, 1))
    return found


def test_other_engines_get_the_pixels_as_the_network_stores_them(written: Module) -> None:
    (image,) = random_inputs(written)
    assert (image.min(), image.max()) == (0, 255)
    assert written.quantized
    (stored,) = inputs_elsewhere(written, {"image": image})
    np.testing.assert_array_equal(stored, (image.astype(np.int16) - 128).astype(np.int8))


@pytest.mark.slow
def test_ours_is_exact_and_measured_beside_another_engine(written: Module) -> None:
    pytest.importorskip("ai_edge_litert")
    report = measure("iree-cpu", Request(optimize(written), written=written, against=("litert",), rounds=1)).to_json()
    engines = report["engines"]
    assert isinstance(engines, list)
    assert [(each["engine"], each["precision"]) for each in engines] == [("mnetdsl", "int8"), ("litert", "int8")]
    assert engines[0]["difference"] == 0.0
    assert isa_of(TARGETS["iree-cpu"]) is None or 0 < engines[0]["peak_share"] < 1.5
