"""The Python API: what its methods add to the parts that they call, which have tests of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnetdsl
from mnetdsl.diagnostics import MnetError

TEXT = """mnet 1

model tiny(channels: int = 4) {
  input image: u8[6, 6, 3] { color = rgb, mean = 127.5, std = 127.5 }
  x = conv2d(image, channels, kernel = 3) as stem
  output logits = dense(global_avg_pool(x), 5)
}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> mnetdsl.Network:
    path = tmp_path / "tiny.mnet"
    path.write_text(TEXT, encoding="utf-8")
    return mnetdsl.load(path, channels=8).with_weights("random:1")


def test_a_network_shows_itself_in_one_line(tiny: mnetdsl.Network) -> None:
    assert repr(tiny) == "<Network tiny of tiny.mnet, channels=8>"


def test_an_array_in_place_of_inputs_by_name_is_refused_with_the_right_call(tiny: mnetdsl.Network) -> None:
    images: Any = np.zeros((1, 6, 6, 3), np.uint8)
    with pytest.raises(MnetError) as caught:
        tiny.run(images)
    (problem,) = caught.value.diagnostics
    assert problem.code == "MN0620"
    assert problem.help == ('write `run({"image": …})`',)


def test_validation_takes_inputs_and_a_tolerance(tiny: mnetdsl.Network) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), np.uint8)
    report = tiny.validate(["numpy"], inputs={"image": images}, tolerance=0.5)
    assert report.agrees
    assert report.inputs == ("input 1", "input 2")
    assert report.tolerance == 0.5


def test_numbers_of_the_text_need_no_weight_file(tmp_path: Path) -> None:
    path = tmp_path / "scaled.mnet"
    path.write_text("mnet 1\nmodel scaled() {\n  input x: f32[4]\n  output y = 1 - x * [1, 2, 3, 4]\n}\n")
    network = mnetdsl.load(path)
    x = np.array([[1, 1, 1, 1], [2, 0, 1, -1]], np.float32)
    np.testing.assert_array_equal(network.run({"x": x})["y"], [[0, -1, -2, -3], [-1, 1, -2, 5]])
    assert network.validate(["numpy"]).agrees


def test_numbers_of_the_text_stay_beside_loaded_weights(tmp_path: Path) -> None:
    path = tmp_path / "shifted.mnet"
    path.write_text("mnet 1\nmodel shifted() {\n  input x: f32[4]\n  output y = dense(x + 0.5, 3) * 2\n}\n")
    network = mnetdsl.load(path).with_weights("random:1")
    x = np.array([[1, 2, 3, 4]], np.float32)
    weight, bias = (network.module.resources[f"dense.{name}"].astype(np.float32) for name in ("weight", "bias"))
    found = network.run({"x": x})["y"].astype(np.float32)
    np.testing.assert_allclose(found, ((x + 0.5) @ weight + bias) * 2, rtol=1e-5)
