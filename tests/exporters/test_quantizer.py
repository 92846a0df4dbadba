"""What our quantizer writes, tested from outside: the reference kernels compute its bits in every layer."""

from __future__ import annotations

from pathlib import Path

import pytest

import mnetdsl
from mnetdsl.quantize.quantizer import Settings
from tests.exporters.needs import need
from tests.quantize.networks import network, pictures
from tests.toolchain import require


@pytest.mark.parametrize("wide", [frozenset(), frozenset({"last"}), frozenset({"middle.expand.conv"})])
def test_a_quantized_network_has_its_bits_under_the_reference_kernels(wide: frozenset[str], tmp_path: Path) -> None:
    need("ai_edge_litert", "flatbuffers")
    require("gcc")
    network(tmp_path / "float").quantize(pictures(4), tmp_path / "int8", settings=Settings(wide=wide))
    written = mnetdsl.load(tmp_path / "int8").with_weights()
    written.export("tflite", tmp_path / "net.tflite")
    report = written.validate_against(tmp_path / "net.tflite", ["numpy", "c"])
    assert report.agrees
    assert report.tolerance == 0
    assert [len(backend.layers) > 8 for backend in report.backends] == [True, True]
