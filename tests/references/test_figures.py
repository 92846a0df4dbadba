"""The libraries count what docs/zoo.md says they do, and Google's published files count what our networks do."""

from __future__ import annotations

from dataclasses import asdict

import pytest

import mnetdsl
from tests.real_data import real
from tests.references.conftest import Worker
from tools.zoo_figures import REFERENCES, figures

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("network", REFERENCES)
def test_a_library_counts_what_the_page_says(network: str, request: pytest.FixtureRequest) -> None:
    reference = REFERENCES[network]
    worker: Worker = request.getfixturevalue(f"{reference.library}_worker")
    name = reference.constructor.removeprefix("keras.")
    asked = {"reference": name, "alpha": 1.0, "resolution": figures(network).resolution}
    reply = worker.ask({**asked, "arguments": asdict(reference)["arguments"]})
    assert (reply["parameters"], reply["macs"]) == (reference.parameters, reference.macs)


@pytest.mark.parametrize(
    ("file", "network", "alpha"),
    [
        ("mobilenet_v1_0.25_224_quant.tflite", "mobilenet_v1", 0.25),
        ("mobilenet_v2_1.0_224_quant.tflite", "mobilenet_v2", 1.0),
        ("mobilenet_v3_small_224_1.0_uint8.tflite", "mobilenet_v3_small", 1.0),
    ],
)
def test_a_published_file_counts_what_our_network_does(
    file: str, network: str, alpha: float, keras_worker: Worker
) -> None:
    path = real(f"models/{file}")
    summary = mnetdsl.load(network, alpha=alpha, classes=1001).summary()
    reply = keras_worker.ask({"file": str(path)})
    assert reply["macs"] == summary.macs
    # Batch normalization is folded in the file: one offset is left of its scale, offset, mean and variance.
    assert reply["parameters"] == summary.parameters - summary.statistics // 2
